/**
 * What headers of S3 say of an object, and how it is told what an object is to have.
 */
import type {
  Attributes,
  Checksum,
  ChecksumAlgorithm,
  Condition,
  CopySource,
  ObjectInfo,
  WriteOptions
} from "../../ObjectStore.ts"
import type { HttpAnswer } from "./httpTransport.ts"
import type { S3Bucket } from "./s3Bucket.ts"

type Headers = HttpAnswer["headers"]

const algorithms: ReadonlyArray<ChecksumAlgorithm> = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]

export const unquoted = (etag: string | undefined): string => (etag ?? "").replaceAll("\"", "")

/** What is known of the service that gives ETags. */
type Known = Pick<S3Bucket, "features" | "isAws">

/**
 * Whether an ETag counts as the MD5 of the content by its form. It is not that where the service has a key for the
 * content, or is known for other ETags. AWS alone keeps it an MD5 with a key that is the bucket's.
 */
export const isMd5 = (headers: Headers, { features, isAws }: Known): boolean => {
  const encryption = headers["x-amz-server-side-encryption"]
  return /^[0-9a-f]{32}$/.test(unquoted(headers.etag)) && features.get("md5") !== false &&
    headers["x-amz-server-side-encryption-customer-algorithm"] === undefined &&
    (encryption === undefined || (isAws && encryption === "AES256"))
}

export const hexOf = (base64: string): string => Buffer.from(base64, "base64").toString("hex")
export const base64Of = ({ digest }: Checksum): string => Buffer.from(digest, "hex").toString("base64")

/** Checksums of the whole content. One of parts has a number behind a hyphen, or the type `COMPOSITE`. */
export const checksumsOf = (headers: Headers, known: Known): ReadonlyArray<Checksum> => {
  const isOfParts = headers["x-amz-checksum-type"] === "COMPOSITE"
  return [
    ...algorithms.flatMap((algorithm) => {
      const text = headers[`x-amz-checksum-${algorithm}`]
      return text === undefined || isOfParts || text.includes("-") ? [] : [{ algorithm, digest: hexOf(text) }]
    }),
    ...isMd5(headers, known) ? [{ algorithm: "md5", digest: unquoted(headers.etag) } as const] : []
  ]
}

const metadataPrefix = "x-amz-meta-"

const attributeNames: ReadonlyArray<keyof Attributes> = [
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-type"
]

const attributesOf = (headers: Headers): Attributes =>
  Object.fromEntries(
    attributeNames.flatMap((name) => {
      // How an upload was framed is no property of what was uploaded, and some services keep it all the same.
      const value = (headers[name] ?? "").split(",").filter((one) => one.trim() !== "aws-chunked").join(",").trim()
      return value === "" ? [] : [[name, value]]
    })
  )

/** A time as an answer tells it, if it does. */
export const millisOf = (text: string | undefined): number | undefined => {
  const millis = Date.parse(text ?? "")
  return Number.isNaN(millis) ? undefined : millis
}

/** A size or a place as an answer tells it, or `NaN`. */
export const wholeOf = (text: string | undefined): number => /^\d{1,15}$/.test(text ?? "") ? Number(text) : Number.NaN

/** Of a read of a range, too: `content-range` tells the size of the whole. */
export const infoOf = (key: string, headers: Headers, known: Known): ObjectInfo => {
  const total = /\/(\d+)$/.exec(headers["content-range"] ?? "")?.[1] ?? headers["content-length"]
  const metadata = Object.fromEntries(
    Object.entries(headers).flatMap(([name, value = ""]) =>
      name.startsWith(metadataPrefix) ? [[name.slice(metadataPrefix.length), value]] : []
    )
  )
  return {
    key,
    sizeBytes: wholeOf(total),
    etag: unquoted(headers.etag),
    storedMillis: millisOf(headers["last-modified"]),
    metadata,
    attributes: attributesOf(headers),
    checksums: checksumsOf(headers, known)
  }
}

export const propertyHeaders = (
  { attributes, metadata = {} }: Pick<WriteOptions, "attributes" | "metadata"> = {}
): Readonly<Record<string, string>> => ({
  ...attributes,
  ...Object.fromEntries(Object.entries(metadata).map(([name, value]) => [metadataPrefix + name, value]))
})

/** Without quotes: Ceph compares the header as it is with an ETag that has none. AWS takes both forms. */
export const conditionHeaders = (condition: Condition | undefined): Readonly<Record<string, string>> => {
  if (condition === undefined) return {}
  return condition._tag === "Absent" ? { "if-none-match": "*" } : { "if-match": condition.etag }
}

/** `encode` is for keys: S3 decodes this header. */
export const sourceHeaders = (
  { bucket, etag, key }: CopySource,
  encode: (key: string) => string
): Readonly<Record<string, string>> => ({
  "x-amz-copy-source": `/${bucket}/${encode(key)}`,
  "x-amz-copy-source-if-match": `"${etag}"`
})
