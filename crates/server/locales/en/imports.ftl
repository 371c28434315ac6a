### Bulk imports.

nav-imports = Imports
approval-import = Import a file of { $rows } rows
imports-title = Imports
imports-about = Purchases or members from a file. It is read at once; a larger one waits for another operator and is then sent in the background. Importing the same file again does nothing twice.
imports-file = File
imports-file-hint = .csv or .jsonl, also .csv.zst and .jsonl.zst; 32 MiB at most.
imports-mapping = Mapping
imports-mapping-hint = Which column of the file means what, as for “guerdon import”. Members need kind = "members" and external_id.
imports-reason = Reason
imports-go = Upload
imports-list = The last thirty days
imports-none = Nothing was imported here.
imports-all = All imports
imports-rows = Rows
imports-of-rows = { $rows } rows
imports-waits = Another operator has to agree first:
imports-problems = Rows that were refused
imports-row = Row
imports-why = Why
import-asked = by { $who }, { $when }
import-sent = { $done } sent so far
import-outcome = { $accepted } accepted, { $known } known already, { $refused } refused
import-stage-waiting = waits for another operator
import-stage-queued = waits for its turn
import-stage-running = under way
import-stage-done = done
import-stage-failed = failed
import-stage-rejected = rejected
problem-busy = Another file is being read. Try again in a few seconds.
