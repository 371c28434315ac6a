//! `guerdon card`: membership cards without a server.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use guerdon_core::members::{CardKey, CardPublicKey, parse_card_number, verify_card};

use crate::cli::DataArgs;
use crate::open::system_now;

/// Arguments of `card`.
#[derive(Args)]
pub struct CardArgs {
    #[command(subcommand)]
    command: CardCommand,
}

#[derive(Subcommand)]
enum CardCommand {
    /// Show the public key with which tills check cards.
    Key {
        #[command(flatten)]
        data: Box<DataArgs>,
    },
    /// Say whose card it is, trusting nothing but the public key. Exit code 3: the card is not accepted.
    Verify {
        /// The public key, as `guerdon card key` shows it.
        #[arg(long, env = "GUERDON_CARD_PUBLIC_KEY")]
        key: String,
        /// The text of the QR code, or the number of the bar code (which proves nothing).
        card: String,
    },
}

/// Shows the key, or checks a card.
pub fn run(args: &CardArgs) -> Result<ExitCode> {
    match &args.command {
        CardCommand::Key { data } => {
            let mut store = data.open_read_only()?;
            println!("{}", CardKey::of(&data.keyring_to_read(&mut store)?).public());
            Ok(ExitCode::SUCCESS)
        }
        CardCommand::Verify { key, card } => verify(key, card),
    }
}

fn verify(key: &str, card: &str) -> Result<ExitCode> {
    let key = CardPublicKey::parse(key).map_err(|problem| anyhow!(problem))?;
    let member = if card.contains('.') { verify_card(&key, card, system_now()) } else { parse_card_number(card) };
    match member {
        Ok(member) => {
            println!("{member}");
            Ok(ExitCode::SUCCESS)
        }
        Err(problem) => {
            eprintln!("REFUSED: {problem}");
            Ok(ExitCode::from(3))
        }
    }
}
