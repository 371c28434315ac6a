//! Changes of a profile: what the kernel sees of it are references, names of fields, and by its version whether it is
//! still the one that was read.

use super::batch::Loaded;
use super::command::ProfileChange;
use super::decide::{Draft, NewProfile, taken};
use super::refusal::{Refusal, RefusalCode};
use crate::members::MemberRef;
use crate::planted::{self, Bug};

impl Draft<'_> {
    /// Puts a changed profile in the place of the one that was read.
    pub(super) fn change_profile(&mut self, change: &ProfileChange, loaded: &Loaded) -> Result<(), Refusal> {
        let member = self.command.member_id;
        let is_as_read = loaded.profiles.get(&member) == Some(&change.read);
        if !is_as_read && !planted::is(Bug::ProfileOverwritten) {
            let problem = format!("the profile of {member} was changed since it was read; read it again");
            return Err(Refusal::new(RefusalCode::ProfileChanged, problem));
        }
        let mut added: Vec<MemberRef> = Vec::with_capacity(change.added.len());
        for reference in &change.added {
            match loaded.references.get(reference) {
                None => added.push(reference.clone()),
                // It came with an account that was merged into this one.
                Some(led) if *led == member => {}
                Some(other) => return Err(taken(reference, *other)),
            }
        }
        self.receipt.fields = change.fields.iter().map(|field| (*field).to_owned()).collect();
        let (ciphertext, removed) = (change.ciphertext.clone(), change.removed.clone());
        self.profile = Some(NewProfile { ciphertext, removed, added });
        Ok(())
    }
}
