//! `guerdon audit`: checks a transparency log from outside, trusting nothing but its public key.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use guerdon_core::hex;
use guerdon_core::proofs::{
    Hash, Head, LogKey, PublicKey, Tiles, TransactionProof, empty_root, open_head, trusted_keys, verify_consistency,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::progress::{bar, grouped};

/// Largest answer that is read, in bytes.
const ANSWER_BYTES: u64 = 16 << 20;

/// Arguments of `audit`.
#[derive(Args)]
pub struct AuditArgs {
    /// The server, such as https://points.example.org.
    #[arg(long, required_unless_present = "proof")]
    url: Option<String>,
    /// The file that keeps the last head that was seen. Made at the first audit; each audit proves that the log begins
    /// with it, and then keeps the new head.
    #[arg(long, value_name = "HEAD")]
    since: Option<PathBuf>,
    /// The public key of the log, as `guerdon log-key` shows it. Needed at the first audit; afterwards --since keeps it.
    #[arg(long, env = "GUERDON_LOG_PUBLIC_KEY")]
    key: Option<String>,
    /// Read every leaf and rebuild the root from them as well.
    #[arg(long)]
    leaves: bool,
    /// Check the downloaded proof of one transaction instead, without a server.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "since", "leaves"])]
    proof: Option<PathBuf>,
    /// The API key of the server.
    #[arg(long, env = "GUERDON_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
}

/// What was seen last: the newest key, and the head that it signed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    public_key: String,
    checkpoint: String,
}

#[derive(Deserialize)]
struct HeadAnswer {
    size: u64,
    checkpoint: String,
    keys: Vec<LogKey>,
}

#[derive(Deserialize)]
struct ConsistencyAnswer {
    #[serde(with = "hex::list")]
    proof: Vec<Hash>,
}

#[derive(Deserialize)]
struct LeafAnswer {
    index: u64,
    #[serde(with = "hex")]
    leaf_hash: Hash,
}

/// Audits. Exit code 3 when the log is not what it was, or the proof proves nothing.
pub fn run(args: &AuditArgs) -> Result<ExitCode> {
    let result = match (&args.proof, &args.url) {
        (Some(file), _) => check_proof(file, args),
        (None, Some(url)) => audit(url.trim_end_matches('/'), args),
        (None, None) => bail!("give --url, or --proof with a file"),
    };
    match result {
        Ok(Verdict::Sound) => Ok(ExitCode::SUCCESS),
        Ok(Verdict::Wrong(problem)) => {
            eprintln!("AUDIT FAILED: {problem}");
            Ok(ExitCode::from(3))
        }
        Err(error) => Err(error),
    }
}

enum Verdict {
    Sound,
    Wrong(String),
}

fn wrong(problem: impl std::fmt::Display) -> Result<Verdict> {
    Ok(Verdict::Wrong(problem.to_string()))
}

fn check_proof(file: &Path, args: &AuditArgs) -> Result<Verdict> {
    let key = args.key.as_deref().context("give the public key of the log with --key")?;
    let text = std::fs::read_to_string(file).with_context(|| format!("the proof {}", file.display()))?;
    let proof: TransactionProof = match serde_json::from_str(&text) {
        Ok(proof) => proof,
        Err(error) => return wrong(format!("{} is no proof as it was downloaded: {error}", file.display())),
    };
    match proof.verify(&PublicKey::parse(key)?) {
        Ok(head) => {
            let transaction = &proof.transaction;
            println!(
                "{} of {} at {} is leaf {} of the log {}, under the head of {} leaves signed at {}.",
                transaction.id,
                transaction.member_id,
                transaction.at,
                proof.leaf_index,
                head.origin,
                head.size,
                head.at
            );
            println!("It is exactly as written in {}.", file.display());
            Ok(Verdict::Sound)
        }
        Err(problem) => wrong(problem),
    }
}

fn audit(url: &str, args: &AuditArgs) -> Result<Verdict> {
    let seen = args.since.as_deref().map(read_seen).transpose()?.flatten();
    let pinned = match (&args.key, &seen) {
        (Some(key), _) => key.clone(),
        (None, Some(seen)) => seen.public_key.clone(),
        (None, None) => bail!("the first audit needs the public key of the log: --key, as `guerdon log-key` shows it"),
    };
    let pinned = PublicKey::parse(&pinned)?;
    let server = Server { url, api_key: args.api_key.as_deref() };
    let answer: HeadAnswer = server.get("/v1/log/head")?;
    let before = match &seen {
        None => None,
        // The key that is trusted may have been endorsed since: the old head is opened by any that the log lists.
        Some(seen) => {
            Some(PublicKey::parse(&seen.public_key)?.open_head(&seen.checkpoint).context("the --since file")?)
        }
    };
    if answer.size == 0 && before.is_none() {
        println!("The log is empty: nothing to check yet.");
        return Ok(Verdict::Sound);
    }
    let keys = match trusted_keys(&pinned, &answer.keys) {
        Ok(keys) => keys,
        Err(problem) => return wrong(problem),
    };
    let head = match open_head(&keys, &answer.checkpoint) {
        Ok(head) => head,
        Err(problem) => return wrong(problem),
    };
    if let Some(before) = &before
        && let Some(problem) = inconsistent(&server, before, &head)?
    {
        return wrong(problem);
    }
    if args.leaves && root_of_leaves(&server, head.size)? != head.root {
        return wrong("the leaves do not make up the root that was signed");
    }
    report(&head, before.as_ref(), args.leaves);
    if let Some(file) = &args.since {
        // The newest key that verifies the head is trusted from now on.
        let signer = keys.iter().rev().find(|key| key.open_head(&answer.checkpoint).is_ok());
        let public_key = signer.unwrap_or(&pinned).to_string();
        write_seen(file, &Seen { public_key, checkpoint: answer.checkpoint })?;
    }
    Ok(Verdict::Sound)
}

/// Why the log of a head does not begin with that of an older one.
fn inconsistent(server: &Server<'_>, before: &Head, head: &Head) -> Result<Option<String>> {
    if head.origin != before.origin {
        return Ok(Some(format!("this is the log {}, not {}", head.origin, before.origin)));
    }
    if head.size < before.size {
        let problem = format!(
            "the log had {} leaves at {} and has {} now: its past was cut off",
            before.size, before.at, head.size
        );
        return Ok(Some(problem));
    }
    let path = format!("/v1/log/consistency?from={}&to={}", before.size, head.size);
    let ConsistencyAnswer { proof } = server.get(&path)?;
    let verified = verify_consistency((before.size, &before.root), (head.size, &head.root), &proof);
    Ok(verified.err().map(|problem| format!("since the head of {} leaves at {}: {problem}", before.size, before.at)))
}

/// The root over all leaves as the server gives them.
fn root_of_leaves(server: &Server<'_>, size: u64) -> Result<Hash> {
    let (mut tiles, mut done) = (Tiles::default(), 0);
    let progress = bar("reading leaves", size);
    while done < size {
        let limit = (size - done).min(1_000);
        let leaves: Vec<LeafAnswer> = server.get(&format!("/v1/log/leaves?from={done}&limit={limit}"))?;
        if leaves.len() as u64 != limit || leaves.iter().zip(done..).any(|(leaf, index)| leaf.index != index) {
            bail!("the server gave other leaves than {done} to {}", done + limit);
        }
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf.leaf_hash).collect();
        tiles.append(done, &hashes).map_err(|problem| anyhow!(problem))?;
        done += limit;
        progress.set_position(done);
    }
    progress.finish_and_clear();
    if size == 0 { Ok(empty_root()) } else { tiles.root(size).map_err(|problem| anyhow!(problem)) }
}

fn report(head: &Head, before: Option<&Head>, leaves: bool) {
    let count = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
    println!("The log {} has {} leaves; its head was signed at {}.", head.origin, count(head.size), head.at);
    if leaves {
        println!("Its leaves make up the signed root.");
    }
    match before {
        Some(before) => println!(
            "It begins with the log as seen before ({} leaves at {}): nothing was changed, moved or taken away.",
            count(before.size),
            before.at
        ),
        None => println!("This is the first head seen; keep it with --since and audit again later."),
    }
}

fn read_seen(file: &Path) -> Result<Option<Seen>> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("the --since file {}", file.display())),
        Ok(text) => {
            let seen = serde_json::from_str(&text);
            seen.map(Some).with_context(|| format!("{} is no file of an audit before", file.display()))
        }
    }
}

/// Writes the file beside and renames it, so that a head is never half-written.
fn write_seen(file: &Path, seen: &Seen) -> Result<()> {
    let beside = file.with_extension("tmp");
    std::fs::write(&beside, serde_json::to_string_pretty(seen)?)
        .and_then(|()| std::fs::rename(&beside, file))
        .with_context(|| format!("the --since file {}", file.display()))
}

struct Server<'a> {
    url: &'a str,
    api_key: Option<&'a str>,
}

impl Server<'_> {
    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let address = format!("{}{path}", self.url);
        let mut request = ureq::get(&address);
        if let Some(key) = self.api_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut answer = request.call().with_context(|| address.clone())?;
        let body =
            answer.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec().with_context(|| address.clone())?;
        serde_json::from_slice(&body).with_context(|| format!("{address} gave an answer that cannot be read"))
    }
}
