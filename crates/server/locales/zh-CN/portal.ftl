# 会员中心：会员所见的文字。

channel-portal = 会员中心

portal-navigation = 我的账户
portal-nav-points = 积分
portal-nav-card = 会员卡
portal-nav-privacy = 隐私

portal-sign-in-title = 登录或加入
portal-address = 电子邮箱或手机号码
portal-sign-in-hint = 我们会向您发送验证码。新会员也可凭验证码加入。
portal-sign-in-go = 发送验证码
portal-address-wrong = 请输入有效的电子邮箱（如 ann@example.org）或手机号码（如 13800138000）。
portal-no-email = 此处无法通过电子邮件发送验证码，请使用手机号码。
portal-no-phone = 此处无法向手机发送验证码，请使用电子邮箱。

portal-sso-over = 操作超时或已完成，请重新开始。
portal-sso-cancelled = 登录已在对方页面取消，请重新开始，或使用验证码登录。
portal-sso-unavailable = 该登录方式暂时不可用，请稍后重试，或使用验证码登录。
portal-sso-no-access = 该账号未对应任何会员，请使用验证码登录或加入。

portal-code-title = 输入验证码
portal-code-label = 发送至 { $address } 的六位数字
portal-code-hint = 验证码十分钟内有效。请勿告诉任何人，我们的工作人员不会向您索要。
portal-code-go = 继续
portal-code-resend = 重新发送
portal-code-other = 更换邮箱或手机
portal-code-form = 验证码为六位数字。
portal-code-wrong = 验证码不正确，还可以尝试 { $left } 次。
portal-code-gone = 此验证码已失效，请重新获取。
portal-code-wait = 验证码刚刚发送过，{ $seconds } 秒后可再次获取。
portal-code-wait-minutes = 获取验证码过于频繁，请在 { $minutes } 分钟后重试。
portal-no-more-texts = 短信发送量已达上限。请改用电子邮箱，或在 { $minutes } 分钟后重试。

portal-join-title = 加入会员
portal-join-why = { $address } 已验证。填写以下信息即可成为会员。
portal-join-by = { $provider } 已确认您的身份。填写以下信息即可成为会员。
portal-join-birth-date = 出生日期（选填）
portal-join-consents = 以上均为选填，您随时可以在“隐私”页面更改。
portal-join-go = 加入
portal-join-no-name = 请填写姓名，最多 500 个字符。
portal-join-birth-date-wrong = 请按年-月-日填写出生日期，如 1990-05-17，或留空。
portal-join-text-changed = 条款文字已更新，请重新阅读。

portal-nav-profile = 资料
portal-profile-about = 个人信息
portal-profile-prove = 修改前请先验证身份。
portal-profile-language = 语言
portal-language-english = English
portal-language-chinese = 中文
portal-language-none = 未选择
portal-profile-save = 保存
portal-profile-saved = 已保存。
portal-profile-changed = 您的资料刚刚在别处被修改，请重新查看。
portal-profile-addresses = 登录方式
portal-profile-no-address = 未填写
portal-profile-new-address = 新的电子邮箱或手机号码
portal-profile-new-address-hint = 我们会向其发送验证码。输入验证码后，它将取代原来的，您的其他设备将退出登录，原邮箱或手机会收到通知。
portal-profile-address-taken = 该邮箱或号码属于另一个账户，请到门店合并两个账户。

portal-link-since = 自 { $date } 起
portal-link-remove = 移除
portal-link-only = 这是您唯一的登录方式，请先填写电子邮箱或手机号码。

portal-no-points = 您还没有积分。

portal-card-qr = 会员卡二维码
portal-card-bars = 会员卡条形码
portal-card-hint = 结账时请出示。二维码每 30 秒更新一次，截图无效。

portal-consents-title = 您的数据可用于
portal-consents-none = 除会员服务本身外无其他用途。
portal-consent-none = 您尚未同意。
portal-consent-given = 您已于 { $date } 同意（第 { $version } 版）。
portal-consent-outdated = 您曾于 { $date } 同意第 { $version } 版。文字已更新，需重新同意。
portal-consent-withdrawn = 您已于 { $date } 撤回（第 { $version } 版）。
portal-consent-give = 同意
portal-consent-withdraw = 撤回

portal-data-title = 您的数据
portal-export-why = 我们所掌握的关于您的全部信息，可供阅读或带往他处。
portal-export-go = 下载我的数据
portal-prove = 下载或删除数据前，请先验证身份。
portal-prove-go = 发送验证码

portal-erasure-title = 删除我的数据
portal-erasure-what = 您的姓名、联系方式、出生日期和授权将被销毁，无法恢复，积分也不能再使用。剩余的消费记录不再指向任何人。
portal-erasure-days = 删除将在 { $days } 天后执行。在此之前一切照旧，您可以在“隐私”页面撤回。
portal-erasure-go = 删除我的数据
portal-erasure-keep = 保留
portal-erasure-due = 您的数据将于 { $date } 删除，在此之前可以撤回。
portal-erasure-withdraw = 保留我的数据

portal-devices-title = 已登录的设备
portal-device-seen = 最近使用：{ $date }
portal-device-current = 本设备
portal-device-end = 退出
portal-devices-end-all = 退出所有设备

portal-trouble-page = 页面不存在
portal-trouble-page-message = 地址可能已过期或输入有误。
portal-trouble-closed = 此账户已关闭
portal-trouble-closed-message = 账户无法继续使用。如有疑问，请向门店咨询。
portal-trouble-store = 暂时无法完成
portal-trouble-store-message = 您的数据没有丢失，请稍后重试。
portal-trouble-home = 查看我的积分
portal-extend = 用 { $points }延长有效期 { $count } 天
portal-extend-too-few = 可用积分不足。
portal-extend-not-now = 目前无法延长这些积分的有效期。
