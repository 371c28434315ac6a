# Pictures of rewards.

nav-pictures = Pictures
pictures-about = What rewards look like. A reward names its pictures by their digest; one that nothing names is deleted after 30 days.
pictures-none = No picture was uploaded yet.
picture-file = Picture
picture-file-hint = PNG, JPEG or WebP, 8 MB and 25 million pixels at most. Where and when a photo was taken is not kept.
picture-upload = Upload
picture-new = New. Copy the digest into a reward.
picture-size = { $width } × { $height } pixels, { $kilobytes } KB
picture-uploaded = { $who }, { $when }
picture-unnamed = No reward names it.
picture-named-by = Rewards:
picture-swept = It is deleted on { $when }.
picture-unfit = This file cannot be used: { $why }
picture-too-large = The picture is larger than 8 MB.
picture-busy = Another picture is being read. Try again in a few seconds.
catalogue-picture = Picture
field-pictures = Pictures
field-pictures-hint = One a line: digest | what is to be seen, in English | the same in Chinese. The first stands in lists.
reward-pictures = Pictures of the reward
problem-too_many_pictures = There are as many pictures as there can be. Those that no reward names are deleted after a while.
