-- When units were last added to stock: what is kept for some is kept for so long after that.
ALTER TABLE stock ADD COLUMN restocked_at INTEGER;
