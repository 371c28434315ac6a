//! Tells a member what became of their dispute, where there is a way to reach them. What was said stays in the portal.

use super::*;
use crate::language::Language;
use crate::messages::{Address, Notice};

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Staff have answered.
    Answered,
    /// The points were given back.
    Refunded,
    /// They were not.
    Declined,
}

impl News {
    fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refunded => "refunded",
            Self::Declined => "declined",
        }
    }
}

/// Tells it. A message that cannot be made is logged: the portal says the same.
pub async fn tell(state: &AppState, dispute: &Dispute, news: News) {
    if let Err(problem) = try_to_tell(state, dispute, news).await {
        tracing::warn!(order = %dispute.order_id, problem.detail, "a member could not be told of their dispute");
    }
}

async fn try_to_tell(state: &AppState, dispute: &Dispute, news: News) -> Result<(), Problem> {
    let link = state.people.link(&format!("/portal/orders/{}", dispute.order_id));
    let member = state.reader.resolve(dispute.member_id).await?.map_or(dispute.member_id, |(member, _)| member);
    let Some(row) = state.reader.member(member).await?.filter(|_| link.starts_with("http")) else { return Ok(()) };
    let Some(profile) = state.profile(&row)? else { return Ok(()) };
    let email = profile.email.as_deref().and_then(|email| Address::email(email).ok());
    let phone = || profile.phone.as_deref().and_then(|phone| Address::phone(phone).ok());
    let Some(to) = email.or_else(phone) else { return Ok(()) };
    let language = profile.language.as_deref().and_then(Language::from_tag).unwrap_or(Language::English);
    let program = state.program();
    let notice = Notice::Dispute { news: news.name(), link: &link };
    state.post.notify(&notice, language, program.settings.name.get(language.tag()), to);
    Ok(())
}
