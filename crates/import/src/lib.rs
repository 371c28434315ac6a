//! Import: from a file and a mapping to commands, with a report of every row that was refused.

mod found;
mod mapping;
mod members;
mod parquet_pages;
mod parquet_rows;
mod pipeline;
mod purchases;
mod rows;
mod run;
mod steps;

pub use found::Found;
pub use mapping::{Kind, Mapping};
pub use members::read_members;
pub use pipeline::Pipeline;
pub use purchases::{Purchase, Purchases, read_purchases};
pub use rows::{Format, Source, read_rows};
pub use run::{MemberDirectory, Report, RowProblem, Step, run};
pub use steps::purchase_steps;
