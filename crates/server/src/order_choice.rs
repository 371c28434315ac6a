//! What is chosen with an order, from what a request or a form says of it: the address is looked up in the member's book,
//! the account is checked, and both are sealed under the member's key before the kernel sees them.

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Choice, Command, Refusal, RefusalCode};
use guerdon_core::limits;
use guerdon_core::members::{Address, find_address};
use guerdon_core::redemption::{Delivery, Order, SealedDelivery};
use guerdon_core::rewards::{Reward, RewardKind};
use guerdon_store::StoreError;
use guerdon_store::read::MemberRow;
use serde::{Deserialize, Serialize};

use crate::AppState;
use crate::identity::token::random_bytes;
use crate::problem::Problem;

/// What is said of a choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The variant of a thing.
    pub variant: Option<String>,
    /// The slot of a service.
    pub slot: Option<String>,
    /// An address that is written out.
    pub address: Option<Address>,
    /// An address of the member's book.
    pub address_id: Option<String>,
    /// The account that gets credit.
    pub account: Option<String>,
}

/// What was chosen, as the kernel takes it: where it goes to is sealed. It can be kept until the order is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    choice: Choice,
    /// A keyed digest of what the request said, where it said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<[u8; 32]>,
}

impl Chosen {
    /// An order with it.
    pub fn of(self, command: Command) -> Result<Command, Refusal> {
        command.choosing(self.choice, self.said)
    }
}

fn digest_of(state: &AppState, said: &Said) -> Option<[u8; 32]> {
    (*said != Said::default()).then(|| {
        let json = serde_json::to_vec(&("choice", said)).unwrap_or_default();
        state.keys().digest("request", &json)
    })
}

/// The same order with what was said of it. What cannot be is refused when it is decided: a repeated request is answered as it
/// was.
pub async fn choose(
    state: &AppState,
    command: Command,
    (member, reward_id): (MemberId, &str),
    said: Said,
) -> Result<Command, Problem> {
    let digest = digest_of(state, &said);
    match prepare(state, (member, reward_id), said).await? {
        Ok(chosen) => Ok(chosen.of(command)?),
        Err(refused) => Ok(command.choosing(Choice::default(), digest)?.unfit(refused)),
    }
}

/// What was said of an order, looked up, checked and sealed; or what is wrong with it, whatever the order is for.
pub async fn prepare(
    state: &AppState,
    (member, reward_id): (MemberId, &str),
    said: Said,
) -> Result<Result<Chosen, Refusal>, Problem> {
    let digest = digest_of(state, &said);
    let row = match is_sent(state, reward_id, &said) {
        true => state.reader.member(member).await?.filter(|row| row.id == member),
        // In a rush most orders are for what is sent nowhere.
        false => None,
    };
    let delivery = match &row {
        Some(row) => delivery(state, row, reward_id, &said)?,
        None => Ok(None),
    };
    let Said { variant, slot, .. } = said;
    let checked = delivery.map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem)).and_then(|delivery| {
        let choice = Choice { variant, slot, delivery };
        choice.check().map(|()| Chosen { choice, said: digest })
    });
    Ok(checked)
}

/// Whether an order goes somewhere, which is sealed under a key of its member.
fn is_sent(state: &AppState, reward_id: &str, said: &Said) -> bool {
    let Said { address, address_id, account, variant: _, slot: _ } = said;
    let (program, now) = (state.program(), state.engine.now());
    let needs_address = |reward: &Reward| reward.needs_address(&program, now);
    let is_said = address.is_some() || address_id.is_some() || account.is_some();
    is_said || program.reward_at(reward_id, now).is_some_and(needs_address)
}

/// Where the order goes to, sealed; or what is wrong with what was said of it.
#[allow(clippy::type_complexity, reason = "what fails by itself, and what the caller got wrong")]
fn delivery(
    state: &AppState,
    row: &MemberRow,
    reward_id: &str,
    said: &Said,
) -> Result<Result<Option<SealedDelivery>, String>, Problem> {
    let Some(sealed) = &row.stored.sealed else { return Ok(Ok(None)) };
    let (program, now) = (state.program(), state.engine.now());
    let reward = program.reward_at(reward_id, now);
    let needs_address = reward.is_some_and(|reward| reward.needs_address(&program, now));
    let address = match (&said.address, &said.address_id) {
        (Some(_), Some(_)) => return Ok(Err("give an `address` or an `address_id`, not both".to_owned())),
        (Some(address), None) => {
            if let Err(problem) = address.validate("address") {
                return Ok(Err(problem));
            }
            Some(address.clone())
        }
        (None, None) if !needs_address => None,
        (None, id) => {
            let profile = state.profile(row)?.unwrap_or_default();
            let found = find_address(&profile.addresses, id.as_deref()).map(|known| known.address.clone());
            if let (None, Some(_)) = (&found, id) {
                return Ok(Err("`address_id` must name an address of the member's book".to_owned()));
            }
            found
        }
    };
    let form = match reward.and_then(|reward| reward.kind.as_ref()) {
        Some(RewardKind::TopUp { account }) => account.as_ref(),
        _ => None,
    };
    if let Some(account) = &said.account
        && let Err(problem) = limits::check_text("account", account, limits::KEY_CHARS)
    {
        return Ok(Err(problem));
    }
    if let (Some(form), Some(account)) = (form, &said.account)
        && let Err(problem) = form.check(account)
    {
        return Ok(Err(problem));
    }
    let delivery = Delivery { address, account: said.account.clone() };
    if delivery.is_empty() {
        return Ok(Ok(None));
    }
    let sealed = delivery.seal(&state.keys(), row.id, sealed, random_bytes()).map_err(StoreError::from)?;
    Ok(Ok(Some(sealed)))
}

/// Where an order goes to, in full. `None`: nowhere, or the personal data of its member were erased.
pub async fn open(state: &AppState, order: &Order) -> Result<Option<Delivery>, StoreError> {
    let Some(delivery) = &order.details.particulars.delivery else { return Ok(None) };
    let row = state.reader.member(order.member_id).await?;
    let Some(sealed) = row.and_then(|row| row.stored.sealed) else { return Ok(None) };
    Ok(Some(delivery.open(&state.keys(), order.member_id, &sealed)?))
}
