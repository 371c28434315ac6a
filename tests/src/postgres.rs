//! A PostgreSQL server of the tests' own: in a temporary directory, on a free port, gone when the tests are.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use guerdon_store::PostgresStore;

use crate::Backend;

/// A server. It is stopped and its directory removed when it is dropped, and also when the process ends without that.
pub struct Server {
    directory: PathBuf,
    port: u16,
    /// A shell that waits for the end of its input, which comes with the end of this process.
    keeper: Option<Child>,
    databases: AtomicUsize,
}

impl Server {
    /// A directory and a port for a server that is not there yet.
    fn place() -> Self {
        Self::place_in(&std::env::temp_dir())
    }

    fn place_in(folder: &Path) -> Self {
        let directory = tempfile::tempdir_in(folder).expect("a directory").keep();
        if is_root() {
            // PostgreSQL does not run as root; its package has made a user for it.
            assert!(Command::new("chown").arg("postgres").arg(&directory).status().expect("chown").success());
        }
        let port = crate::free_port();
        Self { directory, port, keeper: None, databases: AtomicUsize::new(0) }
    }

    /// Makes and starts a server.
    pub fn start() -> Self {
        Self::start_in(&std::env::temp_dir())
    }

    /// The same in a folder of choice, which other users must be able to enter.
    pub fn start_in(folder: &Path) -> Self {
        let mut server = Self::place_in(folder);
        let mut initdb = as_postgres("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--pgdata"]);
        let made = initdb.arg(server.directory.join("data")).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.run();
        server
    }

    /// Makes and starts a standby, for which each commit on this server waits from now on.
    pub fn synchronous_standby(&self) -> Self {
        let mut standby = Self::place();
        self.base_backup(&standby.directory.join("data"), &["--write-recovery-conf"]);
        standby.run();
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("postgres", "SELECT pg_reload_conf()");
        let started = Instant::now();
        while self.sql("postgres", "SELECT sync_state FROM pg_stat_replication") != "sync" {
            assert!(started.elapsed() < Duration::from_secs(30), "{}", standby.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        standby
    }

    fn base_backup(&self, to: &Path, more: &[&str]) {
        let mut backup = as_postgres("pg_basebackup");
        backup.args(["--host=127.0.0.1", "--username=postgres", "--checkpoint=fast", "--wal-method=stream", "--port"]);
        let done = backup.arg(self.port.to_string()).arg("--pgdata").arg(to).args(more).output().expect("it runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// A server that archives its write-ahead log, and where.
    pub fn start_with_archive() -> (Self, PathBuf) {
        let mut server = Self::start();
        let archive = server.directory.join("archive");
        assert!(as_user("mkdir").arg(&archive).status().expect("mkdir").success());
        server.sql("postgres", "ALTER SYSTEM SET archive_mode = on");
        let command = format!("cp %p {}/%f", archive.display());
        server.sql("postgres", &format!("ALTER SYSTEM SET archive_command = '{command}'"));
        server.kill();
        server.run();
        (server, archive)
    }

    /// Takes connections over TLS from now on, with a certificate and its key in PEM.
    pub fn use_tls(&self, certificate: &str, key: &str) {
        for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.directory.join("data").join(name);
            std::fs::write(&path, pem).expect("written");
            assert!(Command::new("chmod").arg("600").arg(&path).status().expect("chmod").success());
            if is_root() {
                assert!(Command::new("chown").arg("postgres").arg(&path).status().expect("chown").success());
            }
        }
        self.sql("postgres", "ALTER SYSTEM SET ssl = on");
        self.sql("postgres", "SELECT pg_reload_conf()");
        std::thread::sleep(Duration::from_millis(300));
    }

    /// Lets nobody in from now on who comes without TLS, but for the tests' own tools.
    pub fn only_tls(&self) {
        let file = self.directory.join("data/pg_hba.conf");
        let rules = "hostssl all all 127.0.0.1/32 trust\nhost postgres all 127.0.0.1/32 trust\n";
        std::fs::write(&file, rules).expect("written");
        self.sql("postgres", "SELECT pg_reload_conf()");
        std::thread::sleep(Duration::from_millis(300));
    }

    /// Takes a base backup, to be recovered later.
    pub fn backup(&self) -> Self {
        let backup = Self::place();
        self.base_backup(&backup.directory.join("data"), &[]);
        backup
    }

    /// Starts a base backup as of a moment, from an archive.
    pub fn recover(&mut self, archive: &Path, moment: &str) {
        let moment = moment.replace('T', " ").replace('Z', "+00");
        let settings = format!(
            "archive_mode = off
restore_command = 'cp {}/%f %p'
recovery_target_time = '{moment}'
             recovery_target_action = 'promote'
",
            archive.display()
        );
        let data = self.directory.join("data");
        let mut file = std::fs::OpenOptions::new().append(true).open(data.join("postgresql.auto.conf")).expect("it");
        file.write_all(settings.as_bytes()).expect("written");
        assert!(as_user("touch").arg(data.join("recovery.signal")).status().expect("touch").success());
        self.run();
        let started = Instant::now();
        while self.sql("postgres", "SELECT pg_is_in_recovery()") != "f" {
            assert!(started.elapsed() < Duration::from_secs(30), "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The connection string of the same database on this server.
    pub fn same_database(&self, url: &str) -> String {
        self.url(url.rsplit('/').next().unwrap_or(url))
    }

    /// Makes a primary of a standby.
    pub fn promote(&self) {
        self.sql("postgres", "SELECT pg_promote()");
    }

    /// The connection string of a database that is on this server or, after a failover, on another.
    pub fn url_with(&self, other: &Self, url: &str) -> String {
        let both = format!("127.0.0.1:{},127.0.0.1:{}", self.port, other.port);
        url.replace(&format!("127.0.0.1:{}", self.port), &both)
    }

    /// Starts the server process over the directory that is there, and waits until it answers.
    pub fn run(&mut self) {
        let script = r#"
            exec 3<&0
            "$@" 3<&- & server=$!
            { read -r _ <&3; touch "$0/done"; kill -QUIT $server; } 2>/dev/null & reader=$!
            wait $server
            kill $reader 2>/dev/null
            if [ -e "$0/done" ]; then rm -rf "$0"; fi
        "#;
        let started = Instant::now();
        self.keeper = Some(self.keep(script));
        while !self.answers() {
            assert!(started.elapsed() < Duration::from_secs(30), "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
            // After a kill the server's children outlive it for a moment, and the next one does not start beside them.
            if self.keeper.as_mut().is_some_and(|keeper| matches!(keeper.try_wait(), Ok(Some(_)))) {
                self.keeper = Some(self.keep(script));
            }
        }
    }

    /// A process that runs the server, and ends it when its own input ends.
    fn keep(&self, script: &str) -> Child {
        let mut keeper = Command::new("sh");
        keeper.args(["-c", script]).arg(&self.directory);
        let postgres = as_postgres("postgres");
        keeper.arg(postgres.get_program()).args(postgres.get_args());
        keeper.arg("-D").arg(self.directory.join("data")).arg("-p").arg(self.port.to_string());
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=60"] {
            keeper.args(["-c", setting]);
        }
        let log = std::fs::File::create(self.directory.join("log")).expect("a log");
        let errors = log.try_clone().expect("a log");
        keeper.stdin(Stdio::piped()).stdout(log).stderr(errors);
        keeper.spawn().expect("postgres runs")
    }

    /// kill −9 of the server and its processes.
    pub fn kill(&mut self) {
        let file = std::fs::read_to_string(self.directory.join("data/postmaster.pid")).expect("a process id");
        let id = file.lines().next().expect("a process id").to_owned();
        // The postmaster's children see that it is gone and end by themselves.
        assert!(Command::new("kill").args(["-9", &id]).status().expect("kill").success());
        if let Some(mut keeper) = self.keeper.take() {
            // Its input stays open: its end would mean that the tests are over.
            let input = keeper.stdin.take();
            keeper.wait().expect("ended");
            drop(input);
        }
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(started.elapsed() < Duration::from_secs(10), "the server lives on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the server again when it has stopped by itself.
    pub fn revive(&mut self) {
        std::thread::sleep(Duration::from_millis(500));
        if self.answers() {
            return;
        }
        if let Some(mut keeper) = self.keeper.take() {
            let input = keeper.stdin.take();
            keeper.wait().expect("ended");
            drop(input);
        }
        self.run();
    }

    /// The URL of a new, empty database.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs a statement behind everyone's back; returns what it prints.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let url = self.url(database.rsplit('/').next().unwrap_or(database));
        let mut psql = Command::new(program("psql"));
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", &url, "-c", sql]);
        let done = psql.output().expect("psql runs");
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    fn answers(&self) -> bool {
        let mut ready = Command::new(program("pg_isready"));
        ready.args(["-h", "127.0.0.1", "-t", "1", "-p"]).arg(self.port.to_string());
        ready.output().is_ok_and(|done| done.status.success())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut keeper) = self.keeper.take() else {
            // Killed and not started again.
            drop(std::fs::remove_dir_all(&self.directory));
            return;
        };
        if let Some(mut input) = keeper.stdin.take() {
            drop(input.write_all(b"\n"));
        }
        drop(keeper.wait());
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

/// A program of PostgreSQL, run as a user that it accepts.
fn as_postgres(name: &str) -> Command {
    as_user(program(name))
}

fn as_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

/// Where a program of PostgreSQL lies: Debian keeps most of them off the path, one folder a version.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| number(path));
    let debian = newest.map(|version| version.join("bin").join(name)).filter(|path| path.exists());
    debian.unwrap_or_else(|| PathBuf::from(name))
}

/// The server that all conformance tests of a process share.
pub fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// PostgreSQL, a database for each test.
pub struct Postgres;

impl Backend for Postgres {
    type Store = PostgresStore;
    type Keep = String;
    fn fresh() -> (PostgresStore, String) {
        let url = shared().database();
        (PostgresStore::create(&url).expect("a store"), url)
    }
}
