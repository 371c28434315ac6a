# 礼品的现金支付与好友拼团：会员与操作员看到的内容。

tender-cash_on_delivery = 货到付款
tender-test = 测试支付（不产生实际扣款）
payment-state-due = 待支付
payment-state-authorised = 已预授权
payment-state-paid = 已支付
payment-state-returned = 已退还
payment-state-void = 无需支付
payment-state-declined = 支付被拒

split-title = 您希望如何支付？
split-points = { $points }，不付现金
split-part = { $points } + { $money }
split-tender = 现金如何支付？
split-redeem = 按所选方式兑换
split-points-left = 您有 { $points }。
split-declined = 支付被拒绝，订单已取消，积分已退回。
split-not-now = 已不能按此方式支付，请重新选择。

reach-by = 按您最近 90 天的积累速度，预计 { $date } 前可以攒够。

order-money = 现金
order-money-line = { $money }，{ $tender }：{ $state }
order-money-due-hand = 请在收货时准备好 { $money }。
order-money-due-wait = { $money } 的支付尚未确认，确认后即继续处理。
order-money-declined = { $money } 的支付被拒绝，订单已取消，积分已退回。
order-money-void = 无需再支付。
order-money-returned = { $money } 已退还给您。
order-money-return-due = { $money } 将退还给您。
order-money-collect-title = 此订单的现金
order-money-collect-about = 待收 { $money }。收款后请确认；未收款的订单不能完成。
order-money-return-about = 已收 { $money }，且订单已退款。将钱退给会员后请确认。
order-money-reference = 收据号
order-money-collect = 已收款
order-money-return = 已退款
order-reason-group_not_full = 未能按时成团。
order-reason-left_group = 会员退出了拼团。
order-reason-payment_not_confirmed = 支付未在规定时间内确认。
order-reason-declined = 支付被拒绝。
order-group = 拼团
order-group-open = 进行中，{ $time } 截止
order-group-full = 已成团
order-group-waits = 尚未成团。您的积分预留至 { $time }；届时人数不足，积分将退回。
order-group-see = 查看拼团

group-title = 拼团：{ $reward }
group-offer-title = 好友拼团更优惠
group-offer = { $hours } 小时内满 { $members } 人，每人只需 { $points }。
group-open = 用 { $points }发起拼团
group-price = 每人 { $points }
group-joined = 已有 { $joined } / { $size } 人参团
group-until = { $time } 截止
group-in = 您已参团。把链接发给好友：
group-link = 拼团链接
group-in-about = 您的积分已预留。按时成团后所有订单继续处理；未成团则全部退回。
group-join = 用 { $points }参团
group-join-about = 积分会立即预留；未能按时成团则退回。
group-leave = 退出拼团
group-full = 已成团，所有订单将继续处理。
group-no-room = 此团已满，您可以自己发起拼团。
group-not-full = 未能按时成团，积分已全部退回。
group-short = 还差 { $points }。
group-refused = 未能成功：此团已满或已结束，或该礼品暂时不能兑换。请重新查看。
group-slot = 该时间已被约满，或早于拼团结束时间，请另选时间。
group-no-slot = 拼团结束后两周内没有可预约的时间。
group-choice-gone = 您选择的款式或时间已被兑完，请重新选择。
group-each-chooses = 每位好友各自选择。
group-slots-after = 预约时间在拼团结束之后。
group-own-order = 查看我的订单
group-to-reward = 查看礼品

problem-split_not_offered = 价格不能这样拆分。
problem-tender_not_offered = 不接受这种支付方式。
problem-payment_due = 此订单还有现金待付，请先收款。
problem-illegal_payment_move = 支付状态已变化，不能再执行此操作，请重新查看。
problem-group_open = 此订单所在的拼团尚未满员。
problem-group_over = 此团已满或已结束。
