import { assert, describe, it } from "@effect/vitest"
import { ObjectStoreError, type StoreCall, type StoreReason } from "@fanout/ops/ObjectStore"
import * as Schema from "effect/Schema"
import { reasonOf } from "../src/internal/cloud/s3Failure.ts"

const answer = (status: number, code?: string, headers: Readonly<Record<string, string>> = {}) => ({
  status,
  headers,
  text: code === undefined
    ? ""
    : `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>A\n text.</Message><Region>eu-1</Region></Error>`
})

const cases: ReadonlyArray<readonly [StoreCall, Parameters<typeof reasonOf>[1], StoreReason]> = [
  ["get", answer(404, "NoSuchKey"), { _tag: "ObjectMissing" }],
  ["head", answer(404), { _tag: "ObjectMissing" }],
  ["list", answer(404), { _tag: "BucketMissing" }],
  ["put", answer(404, "NoSuchBucket"), { _tag: "BucketMissing" }],
  ["putPart", answer(404, "NoSuchUpload"), { _tag: "UploadMissing" }],
  ["listParts", answer(404, "NoSuchKey"), { _tag: "UploadMissing" }],
  ["copyPart", answer(404, "NoSuchKey"), { _tag: "ObjectMissing" }],
  ["put", answer(404, "NoSuchKey"), { _tag: "BucketMissing" }],
  ["put", { ...answer(404, "NoSuchKey"), isMatching: true }, { _tag: "PreconditionFailed" }],
  ["put", answer(403, "QuotaExceeded"), { _tag: "StoreFull", code: "QuotaExceeded" }],
  ["putPart", answer(507), { _tag: "StoreFull", code: "507" }],
  ["put", answer(404), { _tag: "BucketMissing" }],
  ["beginUpload", answer(404, "NotFound"), { _tag: "BucketMissing" }],
  ["put", answer(412), { _tag: "PreconditionFailed" }],
  ["put", answer(409, "ConditionalRequestConflict"), { _tag: "PreconditionFailed" }],
  ["put", answer(409, "OperationAborted"), { _tag: "ServiceFailed", status: 409, code: "OperationAborted" }],
  ["put", answer(403, "AccessDenied"), { _tag: "Denied", code: "AccessDenied" }],
  ["head", answer(403), { _tag: "Denied", code: "403" }],
  ["get", answer(403, "InvalidObjectState"), { _tag: "Archived", code: "InvalidObjectState" }],
  ["get", answer(403, "RequestTimeTooSkewed"), { _tag: "ClockWrong" }],
  ["get", answer(400, "ExpiredToken"), { _tag: "CredentialsExpired", code: "ExpiredToken" }],
  ["get", answer(403, "InvalidAccessKeyId"), { _tag: "CredentialsRefused", code: "InvalidAccessKeyId" }],
  ["get", answer(503, "SlowDown"), { _tag: "Throttled", code: "SlowDown" }],
  ["get", answer(503), { _tag: "Throttled", code: "503" }],
  ["get", answer(429, "X", { "retry-after": "3" }), { _tag: "Throttled", code: "X", afterMillis: 3000 }],
  [
    "get",
    answer(503, "SlowDown", { "retry-after": "Thu, 01 Jan 1970 00:00:11 GMT" }),
    { _tag: "Throttled", code: "SlowDown", afterMillis: 10_000 }
  ],
  [
    "get",
    answer(503, "SlowDown", { "retry-after": "9".repeat(20) }),
    { _tag: "Throttled", code: "SlowDown", afterMillis: Number.MAX_SAFE_INTEGER }
  ],
  [
    "get",
    answer(503, "SlowDown", { "retry-after": "9".repeat(400) }),
    { _tag: "Throttled", code: "SlowDown", afterMillis: Number.MAX_SAFE_INTEGER }
  ],
  ["get", answer(503, "SlowDown", { "retry-after": "soon" }), { _tag: "Throttled", code: "SlowDown" }],
  ["get", answer(500, "InternalError"), { _tag: "ServiceFailed", status: 500, code: "InternalError" }],
  ["get", answer(502), { _tag: "ServiceFailed", status: 502, code: "502" }],
  ["put", answer(400, "BadDigest"), { _tag: "Corrupt", code: "BadDigest" }],
  ["put", answer(400, "RequestTimeout"), { _tag: "Unreachable", code: "RequestTimeout" }],
  ["put", answer(403, "Bearer of a secret"), { _tag: "Denied", code: "403" }],
  ["put", answer(500, "x".repeat(100)), { _tag: "ServiceFailed", status: 500, code: "500" }],
  ["get", answer(301, "PermanentRedirect", { "x-amz-bucket-region": "of a secret" }), {
    _tag: "RegionWrong",
    region: "eu-1"
  }],
  ["put", answer(501, "NotImplemented"), { _tag: "Unsupported", what: "NotImplemented" }],
  ["get", answer(301, "PermanentRedirect", { "x-amz-bucket-region": "eu-2" }), { _tag: "RegionWrong", region: "eu-2" }],
  ["get", answer(400, "AuthorizationHeaderMalformed"), { _tag: "RegionWrong", region: "eu-1" }],
  ["get", answer(307), { _tag: "RegionWrong" }],
  [
    "put",
    answer(400, "InvalidRequest"),
    { _tag: "Refused", status: 400, code: "InvalidRequest", detail: "A text." }
  ],
  [
    "put",
    { status: 400, headers: {}, text: "<html>no <b>XML" },
    { _tag: "Refused", status: 400, code: "400", detail: "the answer has no explanation" }
  ]
]

describe("failures of S3", () => {
  it.each(cases)("%s, answered by %o, is %o", (call, answer, reason) => {
    assert.deepStrictEqual(reasonOf(call, answer, 1000), reason)
  })

  it("are kept as JSON, and each says what to do in a sentence", () => {
    const codec = Schema.toCodecJson(ObjectStoreError)
    for (const [call, , reason] of cases) {
      const error = new ObjectStoreError({ call, address: { scheme: "s3", bucket: "b", key: "k" }, reason })
      assert.match(error.message, /^Could not [a-z ]+ s3:\/\/b\/k: [^\n]+\.$/)
      const kept = Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(error))))
      assert.deepStrictEqual([kept.message, kept.reason], [error.message, error.reason])
    }
  })
})
