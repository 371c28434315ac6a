//! A real mail server of the tests' own: aiosmtpd, which `scripts/test-tools` installs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::oidc::test_tools;

/// A mail server on a free port of this machine; ends with the test.
pub struct SmtpServer {
    /// Where it listens.
    pub port: u16,
    child: Child,
    output: BufReader<ChildStdout>,
    // It runs as long as this is open.
    _input: ChildStdin,
}

impl SmtpServer {
    /// Starts it with the arguments of `tests/smtp-server/server.py`.
    pub fn start(arguments: &[&str]) -> Self {
        let python = test_tools().join("python/bin/python");
        assert!(python.is_file(), "{} is not there: run scripts/test-tools", python.display());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("smtp-server/server.py");
        let mut command = Command::new(python);
        command.args(["-W", "ignore"]).arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the mail server starts");
        let input = child.stdin.take().expect("its input");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it says its port");
        let port = line.trim().parse().expect("a port");
        Self { port, child, output, _input: input }
    }

    /// Waits for the next letter that it takes: `from`, `to`, `tls`, `signed_in`, and `data` as it came over the wire.
    pub fn letter(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a letter");
        serde_json::from_str(&line).expect("a letter in JSON")
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
