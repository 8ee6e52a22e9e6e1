//! The hub's bare protocol, as anybody with a shell can speak it: no library stands between a test and what is refused.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long the hub may take for an answer, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that shows no credentials.
#[derive(Debug)]
pub struct Bare {
    hub: BufReader<TcpStream>,
    heard: Vec<Heard>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Where it was published.
    pub subject: String,
    /// What it says, after its headers.
    pub text: String,
}

impl Bare {
    /// Connects to `nats://host:port`.
    ///
    /// # Panics
    /// When nobody takes the connection.
    #[must_use]
    pub fn connect(url: &str) -> Self {
        let hub = TcpStream::connect(url.trim_start_matches("nats://")).expect("the hub listens");
        hub.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut bare = Self {
            hub: BufReader::new(hub),
            heard: Vec::new(),
        };
        let options = r#"CONNECT {"verbose":false,"headers":true,"no_responders":true}"#;
        let complaints = bare.say(options);
        assert!(complaints.is_empty(), "a guest is let in: {complaints:?}");
        bare
    }

    /// Publishes.
    ///
    /// # Errors
    /// What the hub complains about.
    pub fn publish(&mut self, subject: &str, text: &str) -> Result<(), String> {
        outcome(self.say(&format!("PUB {subject} {}\r\n{text}", text.len())))
    }

    /// Publishes, and names where an answer shall go.
    ///
    /// # Errors
    /// What the hub complains about.
    pub fn ask(&mut self, subject: &str, reply: &str, text: &str) -> Result<(), String> {
        outcome(self.say(&format!("PUB {subject} {reply} {}\r\n{text}", text.len())))
    }

    /// Publishes with one header.
    ///
    /// # Errors
    /// What the hub complains about.
    pub fn publish_with(&mut self, subject: &str, header: (&str, &str), text: &str) -> Result<(), String> {
        let head = format!("NATS/1.0\r\n{}: {}\r\n\r\n", header.0, header.1);
        let (headers, all) = (head.len(), head.len() + text.len());
        outcome(self.say(&format!("HPUB {subject} {headers} {all}\r\n{head}{text}")))
    }

    /// Subscribes.
    ///
    /// # Errors
    /// What the hub complains about.
    pub fn subscribe(&mut self, subject: &str) -> Result<(), String> {
        outcome(self.say(&format!("SUB {subject} 1")))
    }

    /// The next message of all that were subscribed to.
    ///
    /// # Panics
    /// When none comes.
    pub fn hear(&mut self) -> Heard {
        while self.heard.is_empty() {
            let mut ignored = Vec::new();
            self.line(&mut ignored);
        }
        self.heard.remove(0)
    }

    /// Says it, and waits until the hub has worked it off: it complains in order.
    fn say(&mut self, line: &str) -> Vec<String> {
        write!(self.hub.get_mut(), "{line}\r\nPING\r\n").expect("the hub takes it");
        let mut complaints = Vec::new();
        while !self.line(&mut complaints) {}
        complaints
    }

    /// Reads one line and what belongs to it; whether it says that everything said before was worked off.
    fn line(&mut self, complaints: &mut Vec<String>) -> bool {
        let mut line = String::new();
        let length = self.hub.read_line(&mut line).expect("the hub says something");
        assert!(length > 0, "the hub hung up: {complaints:?}");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["PONG"] => return true,
            ["PING"] => self.hub.get_mut().write_all(b"PONG\r\n").expect("the hub takes it"),
            ["MSG", subject, .., all] => self.message(subject, "0", all),
            ["HMSG", subject, .., headers, all] => self.message(subject, headers, all),
            ["-ERR", ..] => complaints.push(line.trim().to_owned()),
            _ => {}
        }
        false
    }

    fn message(&mut self, subject: &str, headers: &str, all: &str) {
        let [headers, all] = [headers, all].map(|number| number.parse::<usize>().expect("a length"));
        let mut bytes = vec![0; all + 2];
        self.hub.read_exact(&mut bytes).expect("the whole message");
        self.heard.push(Heard {
            subject: subject.to_owned(),
            text: String::from_utf8_lossy(&bytes[headers..all]).into_owned(),
        });
    }
}

fn outcome(complaints: Vec<String>) -> Result<(), String> {
    complaints.into_iter().next().map_or(Ok(()), Err)
}
