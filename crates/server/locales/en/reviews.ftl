# Reviews of rewards.

nav-reviews = Reviews
reviews-about = What members say of rewards. A person decides what others may read.
reviews-waiting = Waiting
reviews-rejected = Rejected
reviews-none = There are no reviews here.
reviews-title = Reviews
reviews-all = All reviews
reviews-none-yet = Nobody has reviewed it yet.
review-stars = { $count ->
    [one] 1 star of 5
   *[other] { $count } stars of 5
}
review-rating = { $average } · { $count ->
    [one] 1 review
   *[other] { $count } reviews
}
review-anonymous = A member
review-approve = Approve
review-reject = Reject
review-reason = Why not
review-reason-needed = Say why it is rejected: its author reads it.
review-rejected-why = Rejected: { $why }
review-write = Your review
review-stars-label = Stars
review-text = What do you say of it?
review-public = Others read it under the first letter of your name.
review-send = Send
review-change = Change
review-is-waiting = Thank you. Somebody looks at it before others can read it.
review-is-there = Others can read it.
review-is-rejected = It was not published: { $why } You can write it anew.
review-too-many = You have written many reviews. Wait an hour.
review-too-many-changes = This review was changed too often.
review-stars-needed = Choose 1 to 5 stars.
review-text-needed = Say something about it, in 1,000 characters at most.
review-not-now = This reward cannot be reviewed at the moment.
rewards-sort-rating = Best rated
catalogue-rating = Rating
permission-reviews-moderate = Decide which reviews others may read
