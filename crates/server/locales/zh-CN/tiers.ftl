# 会员等级。

tier-title = 等级
tier-heading = 等级：{ $tier }
tier-none = 无等级
tier-since = 起始
tier-good-through = 有效期至
tier-keeps = 保级条件
tier-or = {" "}或{" "}
tier-and = {" "}且{" "}
tier-grace = 该等级保留至 { $date }；在此之前重新达标即可保级。
tier-highest = 已是最高等级。
tier-next = 距 { $tier } 还差 { $what }（{ $window }）
tier-next-soon = 下一次消费即可升至 { $tier }
tier-of = { $value } / { $needed }
tier-by = { $what }（{ $window }）
tier-orders = { $number } 笔消费
tier-days = 距上次消费 { $number } 天
tier-window-months = { $count ->
    [1] 本月
   *[other] { $number } 个月内
}
tier-window-days = { $count ->
    [1] 今天
   *[other] { $number } 天内
}
tier-window-month = 自然月内
tier-window-quarter = 自然季度内
tier-window-year = 自然年内
tier-window-lifetime = 累计
tier-factor = 消费{ $currency } × { $factor }
tier-early = 新礼品提前 { $number } 小时可见
tier-zones = 专区：{ $zones }
tier-service = 服务：{ $service }
wallet-growth = 成长值，不可兑换
rule-of-tier = 等级 { $tier }
title-tier-review = 等级复核
title-adjust-growth = 成长值调整 { $points }
tier-granted-until = 授予有效期至
why-tier-reached = 升至 { $to }，此前为 { $from }
why-tier-merged = 合并的账户带来 { $to }，此前为 { $from }
why-tier-granted = 规则限时授予 { $to }
why-tier-ended = { $from } 授予期已结束，此后为 { $to }
why-tier-lost = 降至 { $to }，此前为 { $from }
why-tier-renewed = { $to } 保级成功
why-tier-grace = 未达到 { $to } 的条件，宽限保留
why-tier-by = ：{ $what }
