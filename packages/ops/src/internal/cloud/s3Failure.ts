/**
 * What an answer of S3 that is no success means. The word of the service decides before the status, since servers
 * differ in the status.
 */
import type { StoreCall, StoreReason } from "../../ObjectStore.ts"
import type { HttpAnswer } from "./httpTransport.ts"
import { parseRoot, textIn } from "./s3Xml.ts"

/** Calls that name an upload: where they find nothing, it is the upload. Ceph says `NoSuchKey` then. */
const ofUploads: ReadonlySet<StoreCall> = new Set(["putPart", "listParts", "completeUpload", "abortUpload"])

/** Calls that ask for no object, or make one: where they find nothing, it is the bucket. */
const ofBuckets: ReadonlySet<StoreCall> = new Set(["list", "listUploads", "put", "beginUpload"])

type Coded = "Denied" | "CredentialsRefused" | "CredentialsExpired" | "Corrupt" | "StoreFull"

const withCode: ReadonlyMap<string, Coded> = new Map([
  ["AccessDenied", "Denied"],
  ["AllAccessDisabled", "Denied"],
  ["AccountProblem", "Denied"],
  ["InvalidAccessKeyId", "CredentialsRefused"],
  ["SignatureDoesNotMatch", "CredentialsRefused"],
  ["InvalidToken", "CredentialsRefused"],
  ["InvalidSecurity", "CredentialsRefused"],
  ["NotSignedUp", "CredentialsRefused"],
  ["ExpiredToken", "CredentialsExpired"],
  ["TokenRefreshRequired", "CredentialsExpired"],
  ["BadDigest", "Corrupt"],
  ["InvalidDigest", "Corrupt"],
  ["IncompleteBody", "Corrupt"],
  ["XAmzContentSHA256Mismatch", "Corrupt"],
  ["XAmzContentChecksumMismatch", "Corrupt"],
  // Of Ceph, and of MinIO for a bucket and for all disks.
  ["QuotaExceeded", "StoreFull"],
  ["XMinioAdminBucketQuotaExceeded", "StoreFull"],
  ["XMinioStorageFull", "StoreFull"]
])

const byCode: ReadonlyMap<string, StoreReason> = new Map<string, StoreReason>([
  ["NoSuchBucket", { _tag: "BucketMissing" }],
  ["NoSuchUpload", { _tag: "UploadMissing" }],
  ["PreconditionFailed", { _tag: "PreconditionFailed" }],
  ["ConditionalRequestConflict", { _tag: "PreconditionFailed" }],
  ["RequestTimeTooSkewed", { _tag: "ClockWrong" }]
])

const throttling = new Set(["SlowDown", "TooManyRequests", "Throttling", "ThrottlingException", "RequestLimitExceeded"])

/** Seconds, or a date, in which the service takes requests again. */
const afterMillisOf = (text: string | undefined, nowMillis: number): { readonly afterMillis?: number } => {
  if (text === undefined) return {}
  const millis = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMillis
  return Number.isNaN(millis)
    ? {}
    : { afterMillis: Math.min(Math.max(0, Math.round(millis)), Number.MAX_SAFE_INTEGER) }
}

/** An answer that is no success. */
interface Refused extends HttpAnswer {
  readonly text: string
  /** Whether the call was to be done only if the object is what it was. */
  readonly isMatching?: boolean
}

const byStatus = (
  call: StoreCall,
  { isMatching, status }: Pick<Refused, "isMatching" | "status">,
  code: string,
  detail: string
): StoreReason => {
  if (status === 404) {
    if (ofUploads.has(call)) return { _tag: "UploadMissing" }
    // What a condition asks for is not there.
    if (isMatching && code === "NoSuchKey") return { _tag: "PreconditionFailed" }
    return { _tag: ofBuckets.has(call) ? "BucketMissing" : "ObjectMissing" }
  }
  if (status === 412) return { _tag: "PreconditionFailed" }
  if (status === 401) return { _tag: "CredentialsRefused", code }
  if (status === 403) return { _tag: code === "InvalidObjectState" ? "Archived" : "Denied", code }
  if (status === 405 || status === 501) return { _tag: "Unsupported", what: code }
  if (status === 408 || code === "RequestTimeout") return { _tag: "Unreachable", code }
  if (status === 507) return { _tag: "StoreFull", code }
  // Another request changes the same thing at this moment.
  if (status >= 500 || code === "OperationAborted") return { _tag: "ServiceFailed", status, code }
  return { _tag: "Refused", status, code, detail }
}

/** Texts of the service are kept in databases, and shown on one line. */
const mostDetail = 300

/** What is a word, as codes and regions are. All else that stands in their place is no word of the service. */
const wordOf = (text = ""): string | undefined => /^[A-Za-z][\w.-]{0,63}$/.test(text) ? text : undefined

export const reasonOf = (call: StoreCall, answer: Refused, nowMillis: number): StoreReason => {
  const { headers, status, text } = answer
  const { root = {} } = parseRoot(text) ?? {}
  const code = wordOf(textIn(root, "Code")) ?? String(status)
  const detail = (textIn(root, "Message") ?? "the answer has no explanation").replaceAll(/\s+/g, " ")
  const region = wordOf(headers["x-amz-bucket-region"]) ?? wordOf(textIn(root, "Region"))
  const known = byCode.get(code)
  if (known !== undefined) return known
  const coded = withCode.get(code)
  if (coded !== undefined) return { _tag: coded, code }
  if (throttling.has(code) || status === 429 || status === 503) {
    return { _tag: "Throttled", code, ...afterMillisOf(headers["retry-after"], nowMillis) }
  }
  if ((status >= 300 && status < 400) || (code === "AuthorizationHeaderMalformed" && region !== undefined)) {
    return { _tag: "RegionWrong", ...region === undefined ? {} : { region } }
  }
  return byStatus(call, answer, code, detail.slice(0, mostDetail))
}
