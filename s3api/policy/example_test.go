// Goal: show a newcomer how policies are read and asked. Method: examples with
// output.
package policy_test

import (
	"fmt"

	"github.com/sherd-storage/sherd/s3api/policy"
)

func ExampleEvaluate() {
	doc, err := policy.Parse([]byte(`{
		"Version": "2012-10-17",
		"Statement": [
			{"Sid": "Home", "Effect": "Allow", "Principal": {"AWS": "111122223333"},
			 "Action": "s3:*Object", "Resource": "arn:aws:s3:::photos/${aws:username}/*"},
			{"Sid": "Inside", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::photos/*",
			 "Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}
		]}`))
	if err != nil {
		panic(err)
	}
	for _, from := range []string{"192.0.2.7", "198.51.100.1"} {
		decision := policy.Evaluate(&policy.Request{
			Action:   "s3:GetObject",
			Resource: policy.ResourceARN("photos", "alice/cat.jpg"),
			Principal: policy.Principal{
				Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/alice",
			},
			Context: func(key string) []string {
				return map[string][]string{"aws:username": {"alice"}, "aws:sourceip": {from}}[key]
			},
		}, doc)
		fmt.Println(from, decision.Effect, decision.Sid)
	}
	// Output:
	// 192.0.2.7 Allow Home
	// 198.51.100.1 Deny Inside
}

func ExampleDocument_ForBucket() {
	doc, err := policy.Parse([]byte(`{"Statement": {"Effect": "Allow", "Principal": "*",
		"Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos"}}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(doc.ForBucket("photos"))
	// Output: malformed policy: Action does not apply to any resource(s) in statement: statement 0
}

func ExampleDocument_Public() {
	for _, condition := range []string{`{}`, `{"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}`} {
		doc, err := policy.Parse([]byte(`{"Statement": {"Effect": "Allow", "Principal": "*",
			"Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*", "Condition": ` + condition + `}}`))
		if err != nil {
			panic(err)
		}
		fmt.Println(doc.Public())
	}
	// Output:
	// true
	// false
}
