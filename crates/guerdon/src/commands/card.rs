//! `guerdon card`: membership cards without a server.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use guerdon_core::members::{CardKey, CardPublicKey, parse_card_number, verify_card};
use guerdon_core::redemption::{AllowanceText, Voucher};

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
    /// Say whose card it is, or what a voucher or an allowance is for, trusting nothing but the public key. Exit code 3: it is not accepted.
    Verify {
        /// The public key, as `guerdon card key` shows it.
        #[arg(long, env = "GUERDON_CARD_PUBLIC_KEY")]
        key: String,
        /// The text of a QR code, or the number of the bar code of a card (which proves nothing).
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
    if let Some(told) = other(&key, card) {
        return told;
    }
    let member = if card.contains('.') { verify_card(&key, card, system_now()) } else { parse_card_number(card) };
    tell(member)
}

/// What a voucher or an allowance says, where the text is one.
fn other(key: &CardPublicKey, text: &str) -> Option<Result<ExitCode>> {
    match text.trim_start().get(..4)?.to_ascii_uppercase().as_str() {
        "GV1." => Some(tell(Voucher::open(key, text).and_then(|voucher| {
            voucher.check_life(system_now())?;
            let Voucher { order, reward_id, quantity, expires_at } = voucher;
            Ok(format!("{order}: {quantity} × {reward_id}, good until {expires_at}"))
        }))),
        "GA1." => Some(tell(AllowanceText::open(key, text).map_err(|error| error.to_string()).and_then(|allowance| {
            let AllowanceText { member, granted, ends_at, store, terminal, .. } = allowance;
            let told = format!("{member}: {} points at {terminal} in {store}, good until {ends_at}", granted.points);
            if system_now() < ends_at { Ok(told) } else { Err(format!("this allowance is over: {told}")) }
        }))),
        _ => None,
    }
}

fn tell(told: std::result::Result<impl Display, impl Display>) -> Result<ExitCode> {
    match told {
        Ok(told) => {
            println!("{told}");
            Ok(ExitCode::SUCCESS)
        }
        Err(problem) => {
            eprintln!("REFUSED: {problem}");
            Ok(ExitCode::from(3))
        }
    }
}
