# What rules do besides giving points.
why-task = Task for the staff: { $rule }
why-message = Message to the member: { $rule }
why-limit-of-rule-on-acts = ; limit of the rule reached: { $limit } ({ $window })
why-limit-of-campaign-on-acts = ; limit of the campaign reached: { $limit } ({ $window })

# Tasks that rules ask for.
nav-tasks = Tasks
tasks-title = Tasks
tasks-about = What rules ask the staff to do, such as to call a member.
tasks-none = No tasks
tasks-show-done = Show what is done
tasks-show-waiting = Show what waits
task-take = Take
task-give-back = Give back
task-done = Done
task-note = What came of it
task-taken-by = Taken by { $who }
task-done-by = Done by { $who }

# Rewards for no points, and what referrers get.
why-reward = Gift: { $quantity } × { $reward } — { $rule }
why-reward-sold-out = No gift: { $rule } — { $reward } has run out
why-grant = Tier { $tier }: { $rule }
why-grant-without-effect = No change: { $rule } — as high a tier is held for as long anyway, or its time was over already
why-to-referrer = { $points } to the member who referred
why-from-referrer = { $points } taken back of the member who referred
kind-referral = For a member whom you referred
