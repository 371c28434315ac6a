//! `guerdon inspect`: an account in full.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::Receipt;
use guerdon_core::members::RefKind;
use guerdon_core::privacy::Keyring;

use crate::cli::DataArgs;

/// Transactions shown at the most.
const TRANSACTIONS: i64 = 20;

/// Arguments of `inspect`.
#[derive(Args)]
pub struct InspectArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The member: `mem_…`, or the external id.
    member: String,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Shows the account.
pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    // Opening the store first gives the clear errors about directories and schemas.
    let mut store = args.data.open_read_only()?;
    let keyring = args.data.keyring_to_read(&mut store)?;
    drop(store);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(inspect(args, &keyring))
}

async fn inspect(args: &InspectArgs, keyring: &Keyring) -> Result<ExitCode> {
    let reader = args.data.reader().await?;
    let member: Option<MemberId> = match args.member.parse() {
        Ok(id) => Some(id),
        Err(_) => reader.member_by_reference(&keyring.reference(RefKind::ExternalId, &args.member)).await?,
    };
    let Some(member) = member else { bail!("there is no member `{}`", args.member) };
    let row = reader.member(member).await?.with_context(|| format!("there is no member {member}"))?;
    let account = reader.account(member).await?.with_context(|| format!("member {member} has no account"))?;
    let transactions = reader.transactions(member, None, TRANSACTIONS).await?;
    let receipts: Vec<Receipt> =
        transactions.iter().map(|row| serde_json::from_str(&row.receipt)).collect::<Result<_, _>>()?;
    let shown = serde_json::json!({
        "member_id": member,
        "enrolled_at": row.enrolled_at,
        "profile": row.stored.sealed.as_ref().map(|sealed| keyring.open_profile(member, sealed)).transpose()?,
        "erased_at": row.stored.erased_at,
        "version": account.version,
        "status": account.status,
        "merged_from": account.merged_from,
        "history": account.history,
        "agenda": account.agenda,
        "recent": account.recent,
        "standing": account.standing,
        "last_activity_at": account.last_activity_at,
        "last_transaction_at": account.last_transaction_at,
        "next_due_at": account.next_due_at(),
        "wallets": account.wallets.iter().map(|wallet| serde_json::json!({
            "balance": wallet.balance(), "lifetime": wallet.lifetime, "lots": wallet.lots,
        })).collect::<Vec<_>>(),
        "latest_transactions": receipts,
    });
    println!("{}", if args.json { shown.to_string() } else { serde_json::to_string_pretty(&shown)? });
    Ok(ExitCode::SUCCESS)
}
