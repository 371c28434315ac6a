//! Who reads which reviews.

use super::*;

/// Ratings that are read at once: of every reward that there can be, and of those that are gone.
const EVERY: i64 = 100_000;
/// Reviews of one member that are looked at.
const OF_MEMBER: i64 = 1_000;

/// Reads a review out of its record.
fn read(record: Record) -> Result<(Record, Review), Problem> {
    let review = record.read()?;
    Ok((record, review))
}

/// A review by its id.
pub async fn find(state: &AppState, id: &str) -> Result<(Record, Review), Problem> {
    let record = state.reader.record(REVIEW, id, state.clock()).await?.ok_or_else(|| {
        let shown: String = id.chars().take(64).collect();
        Problem::not_found("unknown_review", format!("there is no review `{shown}`"))
    })?;
    read(record)
}

/// The reviews of a reward that everybody may read, the latest first, below an id.
pub async fn of_reward(
    state: &AppState,
    reward: &str,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<(Record, Review)>, Problem> {
    let records = state.reader.records_before(REVIEW, &approved(reward), before, limit).await?;
    records.into_iter().map(read).collect()
}

/// The reviews that wait or were rejected, the oldest first, above an id. Of those that were approved none is found: they
/// stand by their rewards.
pub async fn queue(
    state: &AppState,
    standing: Standing,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<(Record, Review)>, Problem> {
    let subject = Some(standing.name().to_owned());
    let query = RecordQuery { kind: REVIEW.to_owned(), subject, after, limit };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(read).collect()
}

/// What a person has written of a reward, under any of their accounts.
pub async fn own(state: &AppState, accounts: &[MemberId], reward: &str) -> Result<Option<(Record, Review)>, Problem> {
    Ok(led(state, accounts, reward).await?.map(|(_, record, review)| (record, review)))
}

/// The same with the record that led there.
pub(super) async fn led(
    state: &AppState,
    accounts: &[MemberId],
    reward: &str,
) -> Result<Option<(Record, Record, Review)>, Problem> {
    let ids: Vec<String> = accounts.iter().map(|member| lead_id(*member, reward)).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    // Of two that were merged with their accounts the later one counts.
    let mut found = state.reader.records_of(REVIEW_OF, &ids).await?;
    found.sort_by(|one, other| one.id.cmp(&other.id));
    let Some(lead) = found.pop() else { return Ok(None) };
    let record = state.reader.record(REVIEW, &lead.read::<Lead>()?.review, state.clock()).await?;
    let Some((record, review)) = record.map(read).transpose()? else { return Ok(None) };
    Ok(Some((lead, record, review)))
}

/// The records that lead to the reviews of an account.
pub(super) async fn leads(state: &AppState, member: MemberId) -> Result<Vec<Record>, Problem> {
    let subject = Some(member.to_string());
    let query = RecordQuery { kind: REVIEW_OF.to_owned(), subject, after: None, limit: OF_MEMBER };
    Ok(state.reader.records(&query, state.clock()).await?)
}

/// Everything that a person has written, under any of their accounts, the latest first.
pub async fn of_member(state: &AppState, accounts: &[MemberId]) -> Result<Vec<(Record, Review)>, Problem> {
    let mut found = Vec::new();
    for member in accounts {
        for lead in leads(state, *member).await? {
            let record = state.reader.record(REVIEW, &lead.read::<Lead>()?.review, state.clock()).await?;
            found.extend(record.map(read).transpose()?);
        }
    }
    found.sort_by(|(one, _), (other, _)| other.id.cmp(&one.id));
    Ok(found)
}

/// What the reviews of some rewards come to; those without any are left out.
pub async fn ratings(state: &AppState, rewards: &[&str]) -> Result<BTreeMap<String, Rating>, Problem> {
    if policy(state).is_none() {
        return Ok(BTreeMap::new());
    }
    let records = state.reader.records_of(RATING, rewards).await?;
    let counted = records.into_iter().map(|record| Ok((record.id.clone(), record.read::<Rating>()?)));
    let counted: Result<BTreeMap<String, Rating>, guerdon_store::StoreError> = counted.collect();
    Ok(counted?.into_iter().filter(|(_, rating)| rating.count > 0).collect())
}

/// What the reviews of all rewards come to.
pub async fn every_rating(state: &AppState) -> Result<BTreeMap<String, Rating>, guerdon_store::StoreError> {
    if policy(state).is_none() {
        return Ok(BTreeMap::new());
    }
    let query = RecordQuery { kind: RATING.to_owned(), subject: None, after: None, limit: EVERY };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(|record| Ok((record.id.clone(), record.read()?))).collect()
}
