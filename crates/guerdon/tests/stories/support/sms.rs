//! An SMS gateway that keeps what it is given, and the flags that point a server to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// The gateway.
pub struct Gateway {
    url: String,
    messages: Arc<Mutex<Vec<Value>>>,
}

impl Gateway {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/sms", listener.local_addr().unwrap());
        let messages = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&messages);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                kept.lock().unwrap().push(take(connection));
            }
        });
        Self { url, messages }
    }

    pub fn flags(&self) -> [&str; 6] {
        ["--sms-url", &self.url, "--allow-private-outbound", "127.0.0.0/8", "--allow-http-outbound", "127.0.0.1"]
    }

    /// How many messages have come.
    pub fn count(&self) -> usize {
        self.messages.lock().unwrap().len()
    }

    /// The next code that is sent to a number, after `seen` messages of whatever kind.
    pub async fn code(&self, seen: usize, to: &str) -> String {
        for place in seen.. {
            let (number, text) = self.message(place).await;
            let mut digits = text.split(|c: char| !c.is_ascii_digit());
            if let Some(code) = digits.find(|digits| digits.len() == 6).filter(|_| number == to) {
                return code.to_owned();
            }
        }
        unreachable!("messages have no end")
    }

    /// The message after `seen` others: its number, and its text.
    pub async fn message(&self, seen: usize) -> (String, String) {
        for _ in 0..200 {
            if let Some(message) = self.messages.lock().unwrap().get(seen) {
                return (message["to"].as_str().unwrap().to_owned(), message["text"].as_str().unwrap().to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no message came");
    }
}

fn take(connection: TcpStream) -> Value {
    let mut reader = BufReader::new(&connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (&connection).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    serde_json::from_slice(&body).unwrap()
}
