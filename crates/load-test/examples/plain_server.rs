//! A server for measuring the generator: it answers every request with the same small JSON, on one thread, and
//! costs as little as it can. `plain_server SECONDS` prints its URL; an optional `FROM UNTIL` stops it for that
//! stretch, in seconds after its first request. `plain_server awake SECONDS` never sleeps: to wake a sleeping
//! process on another core is paid by who sends to it, and the slower a generator is, the more often its server
//! sleeps.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program"
)]

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let awake = words.first().is_some_and(|word| word == "awake");
    if awake {
        words.remove(0);
    }
    let numbers: Vec<f64> = words.iter().map(|text| text.parse().unwrap()).collect();
    let stop = (numbers.get(1).copied(), numbers.get(2).copied());
    let body = br#"{"signals": [{"symbol": "SPY", "action": "BUY"}]}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer: Rc<[u8]> = [head.as_bytes(), body].concat().into();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    let began: Rc<OnceCell<Instant>> = Rc::default();
    runtime.block_on(local.run_until(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        if awake {
            drop(tokio::task::spawn_local(async {
                loop {
                    tokio::task::yield_now().await;
                }
            }));
        }
        let serve = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.set_nodelay(true);
                let (answer, began) = (Rc::clone(&answer), Rc::clone(&began));
                drop(tokio::task::spawn_local(async move {
                    let mut buffer = vec![0; 2048];
                    let mut filled = 0;
                    loop {
                        match stream.read(&mut buffer[filled..]).await {
                            Ok(0) | Err(_) => return,
                            Ok(n) => filled += n,
                        }
                        // One request at a time on a connection, and bodies are small: a blank line ends it.
                        if !buffer[..filled].windows(4).any(|four| four == b"\r\n\r\n") {
                            continue;
                        }
                        filled = 0;
                        let at = began.get_or_init(Instant::now).elapsed().as_secs_f64();
                        if let (Some(from), Some(until)) = stop
                            && (from..until).contains(&at)
                        {
                            tokio::time::sleep(Duration::from_secs_f64(until - at)).await;
                        }
                        if stream.write_all(&answer).await.is_err() {
                            return;
                        }
                    }
                }));
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs_f64(numbers[0]), serve).await;
    }));
}
