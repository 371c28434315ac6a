# 登录、个人账户与操作员。

nav-operators = 操作员
nav-account = 账户

field-email = 电子邮箱
field-password = 密码
field-new-password = 新密码
field-name = 姓名
field-reason = 原因
yes = 是
no = 否
never-used = 从未使用

sign-in-title = 登录
sign-in-go = 登录
sign-in-passkey = 使用通行密钥
sign-in-passkey-trouble = 通行密钥未被接受。请重试，或使用密码登录。
sign-in-with = 使用 { $name } 登录
sign-in-anew = 重新开始
sign-in-wrong = 输入有误，请检查后重试。
sign-in-over = 操作超时或已完成，请重新开始。
sign-in-wait = 尝试次数过多，请在 { $seconds } 秒后重试。
sign-in-wait-minutes = 尝试次数过多，请在 { $minutes } 分钟后重试。
sso-over = 操作超时或已完成，请重新开始。
sso-cancelled = 登录已在对方页面取消，请重新开始，或使用密码登录。
sso-unavailable = 该登录方式暂时不可用，请稍后重试，或使用密码登录。
sso-no-access = 对方已确认您的身份，但您在此处没有访问权限，请联系管理员。
sign-out = 退出登录
link-why = 此链接可登录一次。

code-title = 第二步验证
code-label = 验证码
code-hint = 身份验证器应用中的六位数字，或任一恢复码。
code-go = 继续

authenticator-title = 设置第二步验证
authenticator-why = 仅有密码可能被盗。请用身份验证器应用扫描二维码，应用每 30 秒显示一个新验证码。
authenticator-picture = 身份验证器应用的二维码
authenticator-by-hand = 或在应用中手动输入此密钥：
authenticator-label = 应用显示的六位数字
authenticator-go = 继续

recovery-title = 恢复码
recovery-why = 如果手机丢失，每个恢复码可登录一次。请打印或存入密码管理器；此后不再显示。
recovery-go = 我已保存

welcome-title = 欢迎
welcome-setup = 您是第一位操作员，将成为本计划的所有者。
welcome-invitation = 您已受邀，请设置自己的密码。
welcome-go = 继续

password-hint = 至少 12 个字符。几个词连在一起比谜语更好记。
password_too_short = 密码至少需要 { $least } 个字符。
password_too_long = 密码超过 128 个字符。
password_common = 此密码过于常见，容易被猜中，请另选。
password_pattern = 密码过于有规律，请另选。
password_personal = 密码包含您的姓名、邮箱或品牌名，请另选。

account-title = 我的账户
account-prove = 更改登录方式前，请先确认是您本人。
account-prove-go = 重新登录
account-password-go = 更改密码
account-factors = 第二步验证
account-authenticator-none = 无
account-recovery-left = 恢复码：剩余 { $count } 个
account-recovery-new = 生成新恢复码
account-remove = 移除
account-last-used = 上次使用：
account-passkey-label = 通行密钥名称
account-passkey-add = 添加通行密钥
account-passkey-trouble = 通行密钥注册失败，请重试。
account-sessions = 已登录的设备
session-browser = 浏览器
session-address = 地址
session-began = 登录时间
session-seen = 最近使用
session-current = 当前设备
session-end = 结束
session-end-others = 结束其他全部会话

operators-title = 操作员
operators-none = 尚无操作员。
operators-invite = 邀请操作员
operators-invite-go = 邀请
operators-invited = 邀请已生成。请自行转交此链接；七天内有效，仅可使用一次：
operators-invited-sent = 邀请邮件已发往 { $email }。您也可以自行转交此链接；七天内有效，仅可使用一次：
operator-role = 角色
operator-roles = 角色
operator-stores = 门店（用逗号分隔）
operator-stores-all = 全部门店
operator-state = 状态
operator-since = 加入时间
operator-authenticator = 身份验证器应用
operator-passkeys = 通行密钥
operator-sessions = 已登录设备数
operator-invited = 已邀请
operator-active = 正常
operator-suspended = 已停用
operator-change = 更改
operator-grant-go = 授予此角色
operator-suspend-go = 停用
operator-resume-go = 恢复
operator-reset-go = 重置登录方式
grant-in-stores = { $role }（{ $stores }）

role-owner = 所有者
role-administrator = 管理员
role-marketing = 营销
role-catalogue = 礼品
role-service = 客服
role-finance = 财务
role-auditor = 审计
role-developer = 开发

trouble-link = 此链接已失效
trouble-link-message = 链接已使用或已过期，请重新获取。
trouble-forbidden = 您无权查看此页面
trouble-forbidden-message = 您的角色不包含此权限，请联系管理员。

problem-already_invited = 此邮箱已属于一位操作员。
problem-beyond_own_permissions = 不能授予自己没有的权限。
problem-owners_only = 只有所有者可以设立、更改或停用所有者。
problem-not_oneself = 此操作须由另一位操作员完成。
problem-last_owner = 这是最后一位可登录的所有者，请先设立另一位。
problem-conflict = 他人刚刚更改了此内容，请查看后重试。

nav-approvals = 审批
approvals-title = 审批
approvals-waiting = 等待另一位操作员
approvals-none = 没有待审批事项。
approvals-decided = 已处理
approval-adjust = 将 { $member } 调整 { $points } 积分
approval-refund = 退还订单 { $order }，{ $points } 积分
approval-publish = 发布更改后的计划
approval-reveal = 导出 { $members } 位会员及其个人资料
approval-policy = 更改双人审批的界限
approval-asked = { $who } 于 { $when } 提出
approval-note = 给申请人的留言
approval-approve = 批准
approval-reject = 驳回
approval-again = 再次执行
approval-own = 由您提出，须由另一位操作员决定。
approval-no-right = 您的角色不包含此操作，须由其他操作员决定。
approval-what = 事项
approval-decided-by = 处理人
approval-stage-waiting = 等待中
approval-stage-approved = 已批准，执行中
approval-stage-done = 已完成
approval-stage-failed = 已批准，但执行失败
approval-stage-rejected = 已驳回
problem-four_eyes = 由您提出，须由另一位操作员决定。
problem-decided_already = 此事项已处理。

nav-audit = 审计日志
audit-title = 审计日志
audit-export = 导出
audit-number = 编号
audit-at = 时间
audit-actor = 操作人
audit-action = 操作
audit-subject = 对象
audit-before = 之前：
audit-after = 之后：
audit-details = 前后对比
audit-none = 没有符合条件的记录。
audit-older = 更早的记录
reveal-why = 为何需要查看个人资料？
reveal-go = 完整显示
export-title = 您的全部会员资料
export-data = 供程序使用的相同数据：压缩包中的 data.json。
consents-title = 您的授权

roles-title = 角色
roles-about = 角色是一组权限。每位操作员可被授予若干角色，适用于全部或部分门店。
roles-own = 自定义角色
roles-none = 暂无。下方的内置角色可能已经够用。
roles-shipped = 内置角色
role-shipped = 内置，不可更改
role-make = 新建角色
role-make-go = 新建
role-name = 名称
role-name-hint = 小写字母、数字和连字符，之后不可更改。
role-name-taken = 已有同名角色，请另选名称。
role-description = 用途
role-may = 权限
role-give-note = 此处只列出您自己拥有的权限：不能授予自己没有的权限。
role-change-note = 更改立即对所有拥有此角色的操作员生效。
role-beyond = 您无法更改此角色：须由拥有其全部权限的操作员更改。
role-delete = 删除角色
role-delete-about = 没有操作员使用此角色。删除后将无法再授予。
role-delete-held = 仍有操作员使用此角色，请先为其更换角色。
role-holders = { $count ->
    [0] 无人使用
   *[other] { $count } 位操作员
}
role-permissions-count = { $count } 项权限
role-owner-about = 拥有全部权限，也只有所有者可以设立所有者。
role-administrator-about = 除设立所有者外的全部权限。
role-marketing-about = 规则、活动及其效果。
role-catalogue-about = 礼品及其价格。
role-service-about = 门店与电话中的会员服务。
role-finance-about = 余额、退款及其成本。
role-auditor-about = 可查看全部内容，不可更改。
role-developer-about = 密钥、合作伙伴与指标。
problem-role_in_use = 仍有操作员使用此角色，请先为其更换角色。
device-unknown = 未知设备
