### 批量导入。

nav-imports = 导入
approval-import = 导入一个 { $rows } 行的文件
imports-title = 导入
imports-about = 从文件导入消费或会员。文件会立即读取；较大的文件须经另一位操作员同意，然后在后台写入。重复导入同一文件不会重复记账。
imports-file = 文件
imports-file-hint = .csv 或 .jsonl，也可为 .csv.zst 和 .jsonl.zst；不超过 32 MiB。
imports-mapping = 字段对应
imports-mapping-hint = 文件中哪一列是什么，与 “guerdon import” 相同。导入会员需要 kind = "members" 和 external_id。
imports-reason = 原因
imports-go = 上传
imports-list = 最近三十天
imports-none = 这里还没有导入过文件。
imports-all = 全部导入
imports-rows = 行数
imports-of-rows = 共 { $rows } 行
imports-waits = 须先经另一位操作员同意：
imports-problems = 被拒绝的行
imports-row = 行
imports-why = 原因
import-asked = { $who }，{ $when }
import-sent = 已写入 { $done } 条
import-outcome = 接受 { $accepted } 条，已存在 { $known } 条，拒绝 { $refused } 行
import-stage-waiting = 等待另一位操作员
import-stage-queued = 排队中
import-stage-running = 进行中
import-stage-done = 已完成
import-stage-failed = 失败
import-stage-rejected = 已驳回
problem-busy = 正在读取另一个文件，请几秒后再试。
