# 礼品图片。

nav-pictures = 图片
pictures-about = 礼品的图片。礼品按摘要引用图片；没有被引用的图片在 30 天后删除。
pictures-none = 还没有上传图片。
picture-file = 图片
picture-file-hint = PNG、JPEG 或 WebP，最大 8 MB、2500 万像素。照片的拍摄地点和时间不会保留。
picture-upload = 上传
picture-new = 新图片。请将摘要复制到礼品中。
picture-size = { $width } × { $height } 像素，{ $kilobytes } KB
picture-uploaded = { $who }，{ $when }
picture-unnamed = 没有礼品引用它。
picture-named-by = 礼品：
picture-swept = 将于 { $when } 删除。
picture-unfit = 无法使用此文件：{ $why }
picture-too-large = 图片大于 8 MB。
picture-busy = 正在读取另一张图片，请几秒后再试。
catalogue-picture = 图片
field-pictures = 图片
field-pictures-hint = 每行一张：摘要 | 英文说明 | 中文说明。第一张显示在列表中。
reward-pictures = 礼品图片
problem-too_many_pictures = 图片数量已达上限；没有礼品使用的图片会在一段时间后删除。
