//! A gzip stream that becomes a thousand times as much: one mebibyte of zeros, packed once, and that
//! piece over and over. Nothing of it is ever held unpacked.

use std::sync::OnceLock;

use flate2::{Compress, Compression, Crc, FlushCompress};

const MEBIBYTE: usize = 1 << 20;

/// The stream becomes so many mebibytes.
pub(crate) const MEBIBYTES: u32 = 1024;

/// The stream, packed.
pub(crate) fn stream() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| pack(MEBIBYTES))
}

fn pack(mebibytes: u32) -> Vec<u8> {
    let zeros = vec![0; MEBIBYTE];
    let mut piece = Vec::with_capacity(MEBIBYTE / 64);
    // A full flush ends at a byte and forgets the window, so that the piece can stand after itself.
    // Packing zeros into a buffer with room does not fail.
    let _ = Compress::new(Compression::best(), false).compress_vec(
        &zeros,
        &mut piece,
        FlushCompress::Full,
    );
    let (mut crc, mut one) = (Crc::new(), Crc::new());
    one.update(&zeros);
    (0..mebibytes).for_each(|_| crc.combine(&one));
    // RFC 1952 §2.3: deflate, no flags, no time, unknown system.
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    (0..mebibytes).for_each(|_| stream.extend_from_slice(&piece));
    // RFC 1951 §3.2.6: a last block with fixed codes and nothing in it.
    stream.extend_from_slice(&[0x03, 0x00]);
    stream.extend_from_slice(&crc.sum().to_le_bytes());
    stream.extend_from_slice(&mebibytes.wrapping_mul(1 << 20).to_le_bytes());
    stream
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    #[test]
    fn the_stream_is_whole_and_small() {
        let packed = super::pack(3);
        let mut unpacked = Vec::new();
        // The decoder checks length and CRC.
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked.len(), 3 << 20);
        assert!(unpacked.len() > 900 * packed.len(), "{}", packed.len());
    }
}
