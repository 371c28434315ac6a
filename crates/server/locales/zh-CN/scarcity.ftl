# 库存与稀缺：运营人员看到的库存，以及会员的排队室。

kind-restock = 补货
nav-stock = 库存
stock-about = 限量奖励：现有、已预留和即将到货的数量。
stock-show = 显示哪些库存
stock-show-all = 全部
stock-show-low = 偏低或售罄
stock-none = 没有限量的奖励。
stock-none-low = 没有偏低的库存：每个奖励都还剩一成以上。
stock-pool = 库存池
stock-whole = 整体
stock-free = 可用
stock-reserved = 已预留
stock-on-hand = 现有
stock-restocked = 累计补货
stock-next = 下次补货
stock-next-words = { $at } 补 { $quantity } 件
stock-low = 偏低
stock-out = 售罄
stock-restock = 补货
stock-restock-about = 已预留给订单的数量不能扣减。
stock-direction = 操作
stock-add = 增加数量
stock-take = 扣减盘亏数量
stock-quantity = 数量
stock-quantity-wrong = 请填写不小于 1 的整数。
stock-restock-go = 调整库存
stock-restocks = 补货记录
stock-no-restocks = 还没有补过货。
stock-when = 时间
stock-by = 操作人
stock-by-itself = 自动
stock-planned-for = 计划时间 { $at }

waiting-title = 排队室
waiting-about = 同时来的人很多。每个人按到达的先后领取排队号，轮到时即可进入。
waiting-from = { $at } 起可领取排队号。
waiting-opens = { $at } 开始兑换。
waiting-open = 兑换已经开始。
waiting-join = 领取排队号
waiting-work = 领取时，您的设备会做一点计算，大约一两秒。想大量占号的程序则要计算很久。
waiting-working = 正在计算…
waiting-needs-script = 领取排队号需要启用 JavaScript。
waiting-again = 用时过长或未成功，请再试一次。
waiting-place = 您的排队号
waiting-ahead = { $count ->
    [0] 下一位就是您。
   *[other] 您前面还有 { $shown } 人。
}
waiting-wait = { $minutes ->
    [0] 预计还需 { $seconds } 秒
   *[other] 预计还需 { $minutes } 分 { $seconds } 秒
}
waiting-stay = 本页会自动更新。离开后再回来，排队号仍然保留。
waiting-turn = 轮到您了
waiting-until = 请在 { $at } 之前兑换。
waiting-go = 去兑换
waiting-over = 您的时段已于 { $at } 结束，可以重新领取排队号。
reward-waiting = 这个奖励设有排队室。
reward-waiting-go = 进入排队室
problem-stock_reserved = 不能取出这么多：现有库存中有一部分已预留给订单。
problem-stock_unlimited = 该礼品不限库存，无需增减。
