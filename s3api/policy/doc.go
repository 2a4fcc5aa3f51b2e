// Package policy is the policy language of S3: [Parse] reads a document,
// [Evaluate] says what documents say of a request. It computes and does nothing
// else: there is no I/O, no clock and no HTTP in it, what a condition asks about
// is brought by the caller, so it can be used without the rest of this module.
//
// # What is understood
//
//   - Versions 2012-10-17 and 2008-10-17; only the former has variables such as
//     ${aws:username}, with defaults as in ${aws:username, 'nobody'} and the
//     escapes ${*}, ${?} and ${$}.
//   - Effect, Principal and NotPrincipal, Action and NotAction, Resource and
//     NotResource, and Condition with all operators, with IfExists, ForAllValues:
//     and ForAnyValue:.
//   - In Principal: "*", {"AWS": …} with "*", accounts by number or as
//     arn:aws:iam::ACCOUNT:root, users and roles by ARN, users and roots of an
//     account without a number (arn:aws:iam:::user/NAME), which is that of the
//     bucket's owner; {"CanonicalUser": …}; {"Service": …} and {"Federated": …},
//     which name no sender of a request here.
//
// # What is refused
//
// Whatever is not understood, since a statement that is ignored may be one that
// denies: names that are unknown or come twice, values of another kind, dates,
// numbers and addresses that are none. A document has at most [MaxBytes].
// [Document.ForBucket] demands beyond that what S3 demands of a bucket's policy.
//
// # How it is decided
//
// A statement that denies wins over all that allow; where none speaks of the
// request the answer is None, which is no permission. Within a statement all
// elements must fit; within one condition all operators and all of their keys;
// of the values of a key one is enough, and of a negated operator (StringNotEquals
// and the like) none may fit. A key that the request does not have fits no operator but
// the negated ones, Null, ForAllValues, and those that end in IfExists.
//
// A [Document] cannot be changed, and any number of goroutines may use one.
package policy
