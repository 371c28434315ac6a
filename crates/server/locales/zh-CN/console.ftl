# 控制台的中文文本。数字、金额和日期传入时已是显示格式。

brand = Guerdon
skip-to-content = 跳到正文
navigation = 控制台
nav-overview = 概览
nav-members = 会员
nav-proofs = 可信证明
nav-api = API
nav-settings = 设置
languages = 语言
language-english = EN
language-chinese = 中文
colophon = 时间均为 { $zone } 时区。

none = —
never = 永久有效
points = { $points } 积分
points-of-currency = { $points } { $currency }
month = { $year }年{ $month }月

search-label = 查找会员
search-hint = 会员 ID、编号、邮箱或手机号
search-go = 查找
search-nothing = 没有 ID、编号、邮箱或手机号为“{ $query }”的会员。请输入完整内容。

overview-title = 计划概览
overview-figures = 关键数据
card-members = 会员数
card-earned = 累计发放积分
card-redeemed = 累计兑换积分
card-lost = 过期与扣回
card-lost-note = 过期 { $expired }，扣回 { $taken }
card-outstanding = 未使用积分
card-adjusted = 含人工调整 { $points }
card-liability = 积分负债
card-worth = { $points } = { $money }
card-of-earned = 占发放积分的 { $share }

chart-title = 每月积分
chart-label = 每月发放、兑换和未使用积分的图表；下方表格列有相同数据
chart-moved = 发放、兑换
chart-table = 以表格显示数据
column-month = 月份
column-earned = 发放
column-redeemed = 兑换
column-lost = 过期与扣回
column-outstanding = 未使用

rules-title = 积分规则
rules-none = 尚无规则发放过积分。
column-rule = 规则
column-points = 积分
column-times = 次数
column-share = 占发放比例

rewards-title = 礼品
rewards-none = 礼品目录为空。
column-reward = 礼品
column-price = 价格
column-stock = 剩余
column-issued = 已发放
stock-unlimited = 不限

latest-title = 最新交易
latest-none = 尚无交易。
column-when = 时间
column-member = 会员
column-what = 内容
column-change = 积分

members-title = 会员
members-none = 尚无会员。
members-next = 下一页
members-first = 第一页
column-number = 编号
column-available = 可用积分
column-last-activity = 最近活动

profile-title = 资料
fact-external-id = 编号
fact-email = 邮箱
fact-phone = 手机号
fact-birth-date = 出生日期
fact-language = 语言
fact-country = 国家或地区
fact-enrolled = 入会时间
fact-erased = 个人资料删除时间
fact-last-activity = 最近活动
fact-closed = 注销时间
fact-merged-from = 合并自
wallet-title = 钱包：{ $currency }
wallet-available = 可用
wallet-worth = 价值 { $money }
wallet-pending = 待生效
wallet-held = 订单占用
wallet-earned = 累计获得
wallet-spent = 累计兑换
wallet-lost = 过期或扣回
wallet-expires-next = 最近到期：{ $points }，有效期至 { $date }
wallet-nothing-expires = 没有将到期的积分。
lots-title = 积分批次（按使用顺序）
lots-none = 钱包为空。
column-held = 占用
column-expires = 有效期至
column-pending = 生效时间
history-title = 交易记录
history-none = 尚无交易。
history-more = 更早的记录
history-start = 返回最新记录
history-balance = 余额 { $balance }

kind-enrol = 入会
kind-activity = 活动
kind-redeem = 订单
kind-capture = 订单完成
kind-release = 订单取消
kind-adjust = 调整
kind-tick = 积分生效或过期
kind-close = 账户注销
kind-merge = 账户合并
kind-refund = 订单退款
channel-api = API
channel-import = 导入
channel-console = 控制台
channel-system = 系统

title-purchase = 消费 { $amount }
title-return = 退货 { $amount }
title-activity = 活动：{ $kind }
title-activity-of = 活动：{ $kind }，{ $amount }
title-order-held = 下单：{ $reward } × { $quantity }，占用 { $points }
title-order-captured = 兑换：{ $reward } × { $quantity }，使用 { $points }
title-order-released = 订单取消：{ $reward } × { $quantity }，退还 { $points }
title-order-refunded = 订单退款：{ $reward } × { $quantity }，退还 { $points }
title-adjust = 人工调整 { $points } 积分
title-close = 账户已注销
title-merged-into = 已并入 { $member }
title-merged-from = { $member } 已并入本账户
why-forfeited = 剩余 { $points } 已作废
title-expired = { $points }已过期
title-matured = { $points }已生效

why-per-money = { $points }：{ $rule } — { $amount } 中每 { $unit } 得 { $rate }，向下取整
why-percent = { $points }：{ $rule } — “{ $other }”所得 { $base }的 { $percent }%，向下取整
why-fixed = { $points }：{ $rule }
why-taken-back = 扣回 { $points }：{ $rule } — { $amount } 中每 { $unit } 扣 { $rate }，以可用积分为限
why-pending = ；{ $date } 生效
why-good-through = ；有效期至 { $date }
why-forgiven = { $points }已不在账户中，予以免除
why-reason = 原因：{ $reason }
why-no-rule = 没有规则为此发放积分

trouble-no-page = 页面不存在
trouble-no-page-message = 网址可能已失效或输入有误。
trouble-no-member = 会员不存在
trouble-no-member-message = 没有此 ID 的会员。可按编号、邮箱或手机号查找。
trouble-store = 暂时无法读取数据
trouble-store-message = 数据没有丢失，请几秒后重试；原因见服务器日志。
trouble-home = 返回概览

proof-proved = 已写入透明日志
proof-download = 下载证明
proof-waiting = 正在写入透明日志
proofs-title = 任何人都能核验这本账
proofs-what = 每一笔交易（积分、规则、凭据）都会生成一枚“指纹”，写入一份只增不减的日志。所有指纹两两合并，最终得到唯一的一枚：日志的“头”。旧交易哪怕改动一分、换个位置或被删除，日志头都会不同。
proofs-how = 每笔交易后一秒之内，日志头会重新签名。谁保存过旧的日志头，日后就能要求证明：今天的日志以当时的全部内容开头。任何人想改写历史都会被发现，运营者自己也不例外。
proofs-member = 会员页面上的每笔交易都可以下载证明。文件中包含交易全文，以及从它通往已签名日志头的各枚指纹；在任何电脑上都能核验，无需连接本服务器。
proofs-auditor = 合作伙伴或审计人员只需要下面的公钥。命令会保存上次看到的日志头；一旦日志与当时不符，立即报错。
proofs-head = 最新日志头
proofs-empty = 日志为空。
proofs-commands = 核验下载的证明，以及审计本服务器：
proofs-url = https://本服务器地址
proof-head-size = 交易笔数
proof-head-at = 签名时间
proof-head-root = 指纹
proof-key = 公钥
