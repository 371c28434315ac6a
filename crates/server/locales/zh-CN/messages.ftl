# 发给会员与操作员的消息（简体中文）。短信只有一两句话。

message-automatic = 本消息由{ $program }自动发送，无需回复。

message-code-subject = { $program }验证码：{ $code }
message-code-title = 您的验证码
message-code-sign-in = 请输入此验证码登录{ $program }。
message-code-join = 请输入此验证码加入{ $program }。
message-code-change-address = 请输入此验证码，今后在{ $program }使用此联系方式。
message-code-recovery = 请输入此验证码找回您在{ $program }的账户。
message-code-limits = 验证码 { $minutes } 分钟内有效，仅可使用一次。{ $program }的任何人都不会向您索要验证码。
message-code-other = 不是您本人操作？请忽略本消息：没有验证码，任何人都无法登录。
message-code-phone = 【{ $program }】验证码 { $code }，{ $minutes } 分钟内有效，请勿告知他人。

message-invitation-subject = 邀请您加入{ $program }的管理后台
message-invitation-title = 您的邀请
message-invitation-text = { $inviter } 邀请您以“{ $role }”身份使用{ $program }的管理后台。
message-invitation-link = 接受邀请
message-invitation-until = 邀请在 { $until } 前有效，仅可使用一次。
message-invitation-phone = 【{ $program }】{ $inviter } 邀请您使用管理后台：{ $link }

message-reset-subject = 请重新设置{ $program }的登录方式
message-reset-title = 您的登录方式已重置
message-reset-text = { $program }管理后台的负责人重置了您的登录方式。请设置新密码和新的第二步验证。
message-reset-link = 重新设置
message-reset-until = 链接在 { $until } 前有效，仅可使用一次。
message-reset-other = 不是您要求的？请先查明是谁操作的，再继续。
message-reset-phone = 【{ $program }】您的登录方式已重置，请重新设置：{ $link }

message-alert-subject = { $program }：新设备登录
message-alert-title = 有新设备登录
message-alert-text = 一台此前未见过的设备登录了您在{ $program }的账户。
message-alert-when = { $time }，{ $device }，来自 { $address }
message-alert-other = 不是您本人操作？请立即退出该设备并更换密码，或寻求帮助。
message-alert-link = 查看您的设备
message-alert-phone = 【{ $program }】{ $time } 有新设备（{ $device }）登录。不是您本人？请退出该设备：{ $link }

message-address-subject = { $field ->
    [email] 您在{ $program }账户的电子邮箱已更改
   *[other] 您在{ $program }账户的手机号码已更改
}
message-address-title = 您的联系方式已更改
message-address-text = { $field ->
    [email] { $time }，您在{ $program }账户的电子邮箱被更改。
   *[other] { $time }，您在{ $program }账户的手机号码被更改。
}
message-address-other = 不是您本人操作？请尽快登录改回，或立即联系我们。
message-address-link = 查看我的账户
message-address-phone = { $field ->
    [email] 【{ $program }】您的电子邮箱已于 { $time } 更改。非本人操作请登录查看：{ $link }
   *[other] 【{ $program }】您的手机号码已于 { $time } 更改。非本人操作请登录查看：{ $link }
}

message-erasure-subject = 您在{ $program }的账户将被删除
message-erasure-title = 您的账户将被删除
message-erasure-text = 您在{ $program }账户中的全部个人信息将于 { $at } 永久删除，积分同时失效。
message-erasure-other = 想保留账户？在此之前可以撤销。
message-erasure-link = 保留我的账户
message-erasure-phone = 【{ $program }】您的账户将于 { $at } 被删除。如需保留：{ $link }

mailbox-title = 开发者邮箱
mailbox-banner = 这是演示环境。任何消息都不会离开本机：本应通过电子邮件或短信发送的内容显示在此，任何打开本页的人都能看到。
mailbox-empty = 尚未发送任何消息。
mailbox-email = 电子邮件
mailbox-phone = 短信
mailbox-to = 收件人 { $address }
mailbox-html = 邮件程序中的样子
mailbox-limit = 仅在内存中保留最近 { $count } 条消息。
mailbox-previews = 预览
mailbox-previews-note = 以示例内容显示本语言的每一种消息。
