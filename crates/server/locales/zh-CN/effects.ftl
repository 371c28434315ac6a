# What rules do besides giving points.
why-task = 生成待办任务：{ $rule }
why-message = 向会员发送消息：{ $rule }
why-limit-of-rule-on-acts = ；已达规则上限：{ $limit }（{ $window }）
why-limit-of-campaign-on-acts = ；已达活动上限：{ $limit }（{ $window }）

# Tasks that rules ask for.
nav-tasks = 待办任务
tasks-title = 待办任务
tasks-about = 规则要求员工处理的事项，例如致电会员。
tasks-none = 暂无任务
tasks-show-done = 查看已完成
tasks-show-waiting = 查看待处理
task-take = 领取
task-give-back = 退回
task-done = 完成
task-note = 处理结果
task-taken-by = 由{ $who }领取
task-done-by = 由{ $who }完成

# Rewards for no points, and what referrers get.
why-reward = 赠品：{ $reward } × { $quantity } — { $rule }
why-reward-sold-out = 未赠送：{ $rule } — { $reward }已发完
why-grant = 授予{ $tier }：{ $rule }
why-grant-without-effect = 无变化：{ $rule } — 已有不低于此的等级且不早于其结束，或授予期已过
why-to-referrer = 推荐人获得 { $points }
why-from-referrer = 从推荐人扣回 { $points }
kind-referral = 推荐会员奖励
