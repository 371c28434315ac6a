//! Readers: one SQL text for every engine, through sqlx, beside the writer.
