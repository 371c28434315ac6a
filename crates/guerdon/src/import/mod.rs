//! Import: from a file and a mapping to commands, with a report of every row that was refused.

mod mapping;
mod members;
mod parquet_pages;
mod parquet_rows;
mod purchases;
mod rows;
mod run;

pub use mapping::{Kind, Mapping};
pub use members::read_members;
pub use purchases::{Purchase, Purchases, read_purchases};
pub use rows::{Format, read_rows};
pub use run::{MemberDirectory, Report, RowProblem, Step, run};
