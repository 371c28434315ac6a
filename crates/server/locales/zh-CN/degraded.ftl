# 数据库暂时不可用时。
portal-last-known = 积分与礼品信息截至 { $time }。稍后即可恢复兑换，您的积分不受影响。
portal-last-known-history = 积分明细稍后恢复显示。
portal-trouble-away = 暂时无法办理
portal-trouble-away-message = 未做任何更改，您的积分不受影响，请稍后再试。
