# 对账户和订单的人工操作。

acts-title = 账户操作
act-adjust = 调整余额
act-adjust-about = 会员会在交易记录中看到此调整及原因。数额较大的调整须由另一位操作员批准。
act-adjust-go = 调整
act-direction = 操作
act-add = 增加
act-take = 扣减
act-currency = 钱包
act-points-wrong = 请输入大于零的积分数，例如 250。
act-merge = 并入另一账户
act-merge-go = 合并账户
act-close = 注销账户
act-close-about = 剩余积分将作废，会员不能再获得或兑换积分。未完成的订单须先完成或取消。
act-close-go = 永久注销
act-no-way-back = 此操作不可撤销。
act-erase = 删除会员资料
act-erase-about = 全部个人信息将在 { $days } 天后销毁，在此之前可以撤回申请。账本保持完整，但不再指向任何人。
act-erase-points = 届时剩余的积分将作废。
act-erase-go = 申请删除
prove-first = 此操作影响重大，请先确认是您本人。

merge-about = 用于同一人的两个账户。本账户将终止，其积分、有效期、编号和交易记录全部转入另一账户。
merge-find = 保留哪个账户？
merge-ends = 此账户终止
merge-goes-on = 此账户保留
merge-what = 合并这两个账户？
merge-what-about = 积分的到期日不变，两个编号都指向保留的账户。
merge-sure = 我已核对，两个账户属于同一人。
merge-not-sure = 请核对两个账户，并确认属于同一人。
merge-with-itself = 这是同一个账户，请查找另一个。
merge-not-active = 该账户已注销或已删除，无法并入。

order-points = 积分
order-made = 下单时间
order-changed = 最近更改
order-held = 积分占用中
order-captured = 已完成
order-released = 已取消
order-refunded = 已退款
order-refund = 退还订单
order-refund-about = 积分退回原批次，至少一周内有效；库存同时恢复。数额较大的退还须由另一位操作员批准。
order-refund-go = 退还
history-order = 订单

waits-for-another = 等待另一位操作员：
waits-look = 查看审批

problem-insufficient_points = 账户积分不足。
problem-reward_not_offered = 该礼品目前不向这位会员提供，或不在此处、此时提供。
problem-wallet_limit = 钱包积分将超出上限。
problem-invalid_amount = 积分数无效。
problem-member_closed = 此账户已注销。
problem-member_merged = 此账户已并入另一账户。
problem-member_erased = 此会员的个人信息已删除。
problem-open_orders = 有未完成的订单，请先完成或取消。
problem-order_not_captured = 只有已完成的订单可以退还，请重新查看。
problem-idempotency_mismatch = 此表单曾以其他内容提交，请重新打开。
problem-rejected = 另一位操作员已驳回此申请。
problem-too_many_waiting = 待审批事项过多，请先处理一部分。

member-sessions-title = 设备
member-sessions = 会员已在 { $count } 台设备上登录。
member-sessions-end = 在所有设备上退出登录
