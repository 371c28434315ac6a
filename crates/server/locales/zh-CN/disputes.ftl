# 订单异议。

nav-disputes = 异议
disputes-about = 会员对收到的礼品提出的异议。应在 48 小时内答复，最先到期的排在最前。
disputes-open = 处理中
disputes-closed = 已结束
disputes-none = 这里没有异议。
dispute-title = 异议
dispute-kind-not-received = 没有收到
dispute-kind-damaged = 收到时已损坏
dispute-kind-wrong = 收到的不是所兑换的
dispute-kind-other = 其他问题
dispute-opened = 提出于 { $when }
dispute-due = 请于 { $when } 前答复
dispute-overdue = 已超时：
dispute-answered = 已答复，等待会员
dispute-was-refunded = 已退还，{ $when }
dispute-was-declined = 已驳回，{ $when }
dispute-the-member = 会员
dispute-words = 会员看到的内容
dispute-words-needed = 请填写会员看到的内容。
dispute-answer = 答复
dispute-decline = 驳回
dispute-hidden = 沟通内容仅对有订单审核权限的人员可见。
dispute-without-words = 没有会员的说明：提交中断，或信息已被删除。您可以在此驳回，或为订单退还积分。
dispute-until = 有问题吗？您可以在 { $when } 前告诉我们。
dispute-cut-off = 您之前的反馈提交中断，请重新填写。
dispute-own-due = 我们会在 { $when } 前答复。
dispute-own-answered = 我们已答复您。
dispute-own-refunded = 积分已退还。{ $why }
dispute-own-declined = 我们已核实，无法退还积分：{ $why }
dispute-you = 您
dispute-us = 我们
dispute-kind = 有什么问题？
dispute-choose = 请选择
dispute-text = 请详细说明
dispute-say = 发送
dispute-open = 告诉我们
dispute-too-late = 已超过提出异议的时间。
dispute-too-many = 消息已达上限，我们会尽快处理。
dispute-form = 请选择问题并说明，最多 1000 字。
dispute-not-now = 现在无法进行此操作。
order-do-dispute = 提出异议
order-do-decline = 驳回异议
title-order-disputed = 提出异议：{ $quantity } × { $reward }，{ $points }
title-order-declined = 异议被驳回：{ $quantity } × { $reward }，{ $points }
problem-dispute_closed = 异议已结束，或已超过提出的时间。
problem-too_many_messages = 消息已达上限，请作出决定。
receipt-print = 打印
message-dispute-subject = { $news ->
    [answered] { $program }已答复您
    [refunded] { $program }已退还您的积分
   *[declined] { $program }已核实您的订单
}
message-dispute-title = 您的订单
message-dispute-text = { $news ->
    [answered] { $program }已答复您对订单提出的问题。
    [refunded] { $program }已退还您提出异议的订单的积分。
   *[declined] { $program }已核实您提出异议的订单，无法退还积分，原因请见订单。
}
message-dispute-link = 查看订单
message-dispute-phone = 【{ $program }】{ $news ->
    [answered] 您的订单问题已有答复：{ $link }
    [refunded] 您的订单积分已退还：{ $link }
   *[declined] 您的订单异议已有结果：{ $link }
}
