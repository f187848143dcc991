//! Requests: from bytes to a value, without any I/O.

/// A head is at most so large.
const LARGEST_HEAD: usize = 64 << 10;

/// A body is at most so large.
const LARGEST_BODY: usize = 1 << 20;

const MOST_HEADERS: usize = 100;

/// A request as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: String,
    /// The path without query.
    pub path: String,
    /// The query, empty for none.
    pub query: String,
    /// Headers with lowercase names, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the client wants to go on with this connection.
    pub keep_alive: bool,
}

/// Why the bytes are no request to answer: a status, and what to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub u16, pub &'static str);

impl Request {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a header that is a list of words has this one.
    fn lists(&self, header: &str, word: &str) -> bool {
        let values = self.headers.iter().filter(|(name, _)| name == header);
        values
            .flat_map(|(_, value)| value.split(','))
            .any(|other| other.trim().eq_ignore_ascii_case(word))
    }

    /// Whether this asks for a WebSocket.
    pub(crate) fn wants_websocket(&self) -> bool {
        self.method == "GET" && self.lists("upgrade", "websocket")
    }
}

/// Reads the first request of a buffer, and how many bytes it takes. `None`: there is more to come.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= LARGEST_HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() <= LARGEST_HEAD => return Ok(None),
        Ok(_) => return Err(Refusal(431, "the head is too large")),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal(431, "too many headers")),
        Err(_) => return Err(Refusal(400, "no HTTP request")),
    };
    let target = head.path.unwrap_or("/");
    // A proxy's form has the whole URL.
    let target = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: head
            .headers
            .iter()
            .map(|header| {
                (
                    header.name.to_ascii_lowercase(),
                    String::from_utf8_lossy(header.value).into_owned(),
                )
            })
            .collect(),
        body: Vec::new(),
        keep_alive: false,
    };
    request.keep_alive = match head.version {
        Some(0) => request.lists("connection", "keep-alive"),
        _ => !request.lists("connection", "close"),
    };
    if request.header("transfer-encoding").is_some() {
        return Err(Refusal(411, "a body needs a content-length"));
    }
    let body = match request.header("content-length").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(length)) if length <= LARGEST_BODY => length,
        Some(Ok(_)) => return Err(Refusal(413, "the body is too large")),
        Some(Err(_)) => return Err(Refusal(400, "content-length is no number")),
    };
    let Some(body) = bytes.get(length..length + body) else {
        return Ok(None);
    };
    request.body = body.to_vec();
    let used = length + request.body.len();
    Ok(Some((request, used)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Request {
        parse(text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn a_request_is_read_with_its_body_and_nothing_of_the_next() {
        let text = "POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET";
        let (request, used) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(
            (
                request.path.as_str(),
                request.query.as_str(),
                request.body.as_slice()
            ),
            ("/a", "b=c", b"hi".as_slice())
        );
        assert_eq!(&text[used..], "GET");
    }

    #[test]
    fn a_request_in_a_proxys_form_is_read() {
        assert_eq!(whole("GET http://h:1/a?b HTTP/1.1\r\n\r\n").path, "/a");
        assert_eq!(whole("GET http://h HTTP/1.1\r\n\r\n").path, "/");
        assert_eq!(whole("GET /a?to=http://h/b HTTP/1.1\r\n\r\n").path, "/a");
    }

    #[track_caller]
    fn keeps(text: &str, keep_alive: bool) {
        assert_eq!(whole(text).keep_alive, keep_alive, "{text}");
    }

    #[test]
    fn a_connection_is_kept_as_its_version_says() {
        keeps("GET / HTTP/1.1\r\n\r\n", true);
        keeps("GET / HTTP/1.1\r\nconnection: Close\r\n\r\n", false);
        keeps("GET / HTTP/1.1\r\nconnection: te, close\r\n\r\n", false);
        keeps("GET / HTTP/1.0\r\n\r\n", false);
        keeps("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", true);
    }

    #[track_caller]
    fn refuses(text: &str, status: u16) {
        assert_eq!(parse(text.as_bytes()).unwrap_err().0, status, "{text:.60}");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        refuses("\x16\x03\x01\x02", 400);
        refuses("GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400);
        refuses("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 411);
        refuses(
            "POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
            413,
        );
        refuses(
            &format!("GET / HTTP/1.1\r\na: {}", "x".repeat(LARGEST_HEAD)),
            431,
        );
        refuses(
            &format!(
                "GET / HTTP/1.1\r\n{}\r\n",
                "a: b\r\n".repeat(MOST_HEADERS + 1)
            ),
            431,
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes).is_ok();
        }

        #[test]
        fn a_request_in_pieces_is_the_same_request(body in "[a-z]{0,20}", value in "[ -~]{0,20}") {
            let text = format!("POST /x HTTP/1.1\r\na: {value}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let bytes = text.as_bytes();
            for cut in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..cut]), Ok(None));
            }
            let (request, used) = parse(bytes).unwrap().unwrap();
            prop_assert_eq!((request.body.as_slice(), used), (body.as_bytes(), bytes.len()));
        }
    }
}
