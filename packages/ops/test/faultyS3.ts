import { createHash, createHmac, randomUUID } from "node:crypto"
import { once } from "node:events"
import * as http from "node:http"
import type { Socket } from "node:net"
import { crc32 } from "node:zlib"
import type { S3Endpoint } from "./s3Endpoint.ts"
import { handingOn } from "./s3HandingOn.ts"

/** What happens to a request instead of, or besides, what it asks for. */
export type Fault =
  /** An answer of the service that it failed, or wants less. */
  | { readonly _tag: "Answer"; readonly status: number; readonly code: string; readonly retryAfter?: string }
  /** The connection ends before the request was looked at. */
  | { readonly _tag: "CutBefore" }
  /** The request is done, and the connection ends before the answer. */
  | { readonly _tag: "CutAfter" }
  /** The connection ends in the middle of the content. */
  | { readonly _tag: "CutInside" }
  /** A bit of the content is another one: of the answer, or of what was sent. */
  | { readonly _tag: "Flip" }
  /** No answer ever comes. */
  | { readonly _tag: "Silence" }
  | { readonly _tag: "Delay"; readonly millis: number }

/** A request, as faults are planned by it. */
export interface Asked {
  readonly method: string
  readonly bucket: string
  readonly key: string
  readonly query: ReadonlyMap<string, string>
  /** How many requests came before it. */
  readonly before: number
}

/** What some services do not have: conditions of a put, deletions of several objects by one request, and times. */
type Lack = "conditions" | "deletions" | "times"

/** Shares of requests that have a fault by chance. */
export interface Chances {
  readonly errors?: number
  readonly cuts?: number
  readonly flips?: number
  /** Requests that are answered in each second. All others are asked to slow down. */
  readonly perSecond?: number
}

interface Options {
  readonly port?: number
  readonly seed?: number
  /** The service that requests are handed on to. */
  readonly behind?: S3Endpoint
}

interface Stored {
  readonly bytes: Buffer
  readonly etag: string
  readonly storedAt: Date
  readonly headers: Readonly<Record<string, string>>
}

interface OpenParts {
  readonly bucket: string
  readonly key: string
  readonly begunAt: Date
  readonly headers: Readonly<Record<string, string>>
  readonly parts: Map<number, { readonly bytes: Buffer; readonly etag: string; readonly storedAt: Date }>
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
}

/** An answer that ends what a request does. */
class Refusal extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string) {
    super(code)
    this.status = status
    this.code = code
  }
}

const hex = (algorithm: string, data: string | Buffer): string => createHash(algorithm).update(data).digest("hex")
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest()
const crcText = (bytes: Buffer): string => {
  const text = Buffer.alloc(4)
  text.writeUInt32BE(crc32(bytes))
  return text.toString("base64")
}
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
const unescaped = (text: string): string =>
  text.replaceAll(/&(?:#(\d+)|(\w+));/g, (all: string, number: string | undefined, name: string) =>
    number === undefined
      ? new Map([["amp", "&"], ["lt", "<"], ["gt", ">"], ["quot", "\""], ["apos", "'"]]).get(name) ?? all
      : String.fromCharCode(Number(number)))
const document = (name: string, content: string): Answer => ({
  status: 200,
  headers: { "content-type": "application/xml" },
  body: `<?xml version="1.0" encoding="UTF-8"?><${name}>${content}</${name}>`
})
const tag = (name: string, text: string | number | boolean): string => `<${name}>${escaped(String(text))}</${name}>`
const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
/** A lone surrogate stands for a byte that is not UTF-8. */
const urlText = (text: string): string =>
  Array.from(
    text,
    (one) => one.isWellFormed() ? encodeURIComponent(one) : `%${(one.charCodeAt(0) - 0xdc00).toString(16)}`
  ).join("")
    .replaceAll("%2F", "/")

/** As the specification of signatures wants a text, however the client has escaped it. */
const canonical = (text: string): string =>
  encodeURIComponent(decodeURIComponent(text)).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  )

const canonicalQuery = (search: string): string =>
  search.split("&").filter((part) => part !== "").map((part) => {
    const [name = "", value = ""] = part.split("=", 2)
    return [name, value].map((text) => canonical(text.replaceAll("+", "%20"))).join("=")
  }).toSorted().join("&")

const contentChunks = (body: Buffer): Buffer => {
  const chunks: Array<Buffer> = []
  for (let at = 0;;) {
    const line = body.indexOf("\r\n", at)
    const length = Number.parseInt(body.toString("latin1", at, line), 16)
    if (!(length > 0)) return Buffer.concat(chunks)
    chunks.push(body.subarray(line + 2, line + 2 + length))
    at = line + 2 + length + 2
  }
}

/** A repeatable sequence of numbers from 0 to 1. */
const dice = (seed: number) => {
  let state = seed
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const credential = String.raw`Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request`
const authorization = new RegExp(`^AWS4-HMAC-SHA256 ${credential}, ?SignedHeaders=([^,]+), ?Signature=(\\w+)$`)

/** How far apart clocks may be. */
const mostSkewMillis = 15 * 60_000
const leastPartBytes = 5 * 2 ** 20

/**
 * A service that speaks S3, keeps everything in memory, checks each signature by an implementation of its own, and
 * fails as it is told while it runs. In front of another service it keeps and checks nothing: it hands on what it does
 * not fail.
 */
export class FaultyS3 {
  readonly service: S3Endpoint
  /** Decides on each request. */
  plan: (asked: Asked) => Fault | undefined = () => undefined
  /** Is told of each request that was done, before its answer is sent. */
  done: (asked: Asked, status: number) => void = () => undefined
  chances: Chances = {}
  /** How far the clock of the service is ahead. */
  aheadMillis = 0
  lacks: ReadonlySet<Lack> = new Set()
  /** Access keys that have expired. */
  readonly expired = new Set<string>()
  /** Requests by what they ask for, as `PUT` or `GET list`, and answers that were no success by their codes. */
  readonly counts = new Map<string, number>()
  readonly buckets = new Map<string, Map<string, Stored>>()
  readonly uploads = new Map<string, OpenParts>()
  readonly sockets = new Set<Socket>()
  inFlight = 0
  mostInFlight = 0
  private readonly server: http.Server
  private readonly roll: () => number
  private readonly handOn: ReturnType<typeof handingOn> | undefined
  private requests = 0
  private second = 0
  private inSecond = 0

  private constructor(server: http.Server, port: number, { behind, seed = 1 }: Options) {
    this.server = server
    this.roll = dice(seed)
    const keys = behind ?? { accessKeyId: "key", secretAccessKey: "secret+/ =" }
    this.service = { ...keys, endpoint: `http://127.0.0.1:${port}` }
    this.handOn = behind === undefined ? undefined : handingOn(behind)
  }

  static async start(options: Options = {}): Promise<FaultyS3> {
    const { port = 0 } = options
    const server = http.createServer({ keepAliveTimeout: 60_000 }).listen(port, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    if (typeof address !== "object" || address === null) throw new Error("the server has no port")
    const s3 = new FaultyS3(server, address.port, options)
    server.on("connection", (socket) => {
      s3.sockets.add(socket)
      socket.on("close", () => s3.sockets.delete(socket))
    })
    server.on("request", (request, response) => s3.take(request, response))
    return s3
  }

  async stop(): Promise<void> {
    this.server.close()
    this.server.closeAllConnections()
    await once(this.server, "close")
  }

  /** Forgets faults and counts. What is stored stays. */
  calm(): void {
    this.plan = () => undefined
    this.done = () => undefined
    this.chances = {}
    this.aheadMillis = 0
    this.lacks = new Set()
    this.expired.clear()
    this.counts.clear()
    this.mostInFlight = 0
  }

  private count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }

  private take(request: http.IncomingMessage, response: http.ServerResponse): void {
    this.inFlight++
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
    response.on("close", () => this.inFlight--)
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("error", () => undefined)
    request.on("end", () => this.answer(request, response, Buffer.concat(chunks)))
  }

  private answer(request: http.IncomingMessage, response: http.ServerResponse, body: Buffer): void {
    const [path = "", search = ""] = (request.url ?? "").split("?", 2)
    const [, bucket = "", ...names] = path.split("/")
    const query = new Map(
      search.split("&").filter((part) => part !== "").map((part) => {
        const [name = "", value = ""] = part.split("=", 2).map((text) => decodeURIComponent(text.replaceAll("+", " ")))
        return [name, value] as const
      })
    )
    const key = decodeURIComponent(names.join("/"))
    const asked = { method: request.method ?? "", bucket, key, query, before: this.requests++ }
    const fault = this.plan(asked) ?? this.chance()
    const flipped = fault?._tag === "Flip" && body.length > 0 ? flip(body) : body
    const respond = async (): Promise<void> => {
      if (fault?._tag === "Answer") {
        const retryAfter = fault.retryAfter === undefined ? {} : { "retry-after": fault.retryAfter }
        return this.send(request, response, this.refusal(new Refusal(fault.status, fault.code), retryAfter))
      }
      this.countCall(asked)
      const answer = this.handOn === undefined
        ? this.judge(request, { ...asked, path, search }, flipped)
        : await this.handOn(request, flipped)
      this.done(asked, answer.status)
      if (fault?._tag === "CutAfter") return void request.socket.destroy()
      this.send(request, response, answer, fault)
    }
    if (fault?._tag === "CutBefore") return void request.socket.destroy()
    if (fault?._tag === "Silence") return
    // oxlint-disable-next-line no-restricted-globals -- this is what the fault is
    if (fault?._tag === "Delay") return void setTimeout(() => void respond(), fault.millis)
    void respond()
  }

  private chance(): Fault | undefined {
    const { cuts = 0, errors = 0, flips = 0, perSecond } = this.chances
    if (perSecond !== undefined) {
      const second = Math.floor(Date.now() / 100)
      if (second !== this.second) this.inSecond = 0
      this.second = second
      if (++this.inSecond > perSecond / 10) return { _tag: "Answer", status: 503, code: "SlowDown" }
    }
    if (this.roll() < errors) return { _tag: "Answer", status: 500, code: "InternalError" }
    if (this.roll() < flips) return { _tag: "Flip" }
    if (this.roll() >= cuts) return undefined
    const share = this.roll()
    return { _tag: share < 0.33 ? "CutBefore" : share < 0.67 ? "CutAfter" : "CutInside" }
  }

  private send(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    { body = "", headers = {}, status }: Answer,
    fault?: Fault
  ): void {
    const bytes = typeof body === "string" ? Buffer.from(body) : body
    const length = status === 204 ? {} : { "content-length": bytes.length }
    response.writeHead(status, { "x-amz-request-id": randomUUID(), ...length, ...headers })
    if (request.method === "HEAD") return void response.end()
    if (fault?._tag === "CutInside") {
      return void response.write(bytes.subarray(0, bytes.length >> 1), () => request.socket.destroy())
    }
    // What was sent is flipped before it is stored, and is not flipped back.
    response.end(fault?._tag === "Flip" && request.method === "GET" && bytes.length > 0 ? flip(bytes) : bytes)
  }

  private refusal({ code, status }: Refusal, headers: Readonly<Record<string, string>> = {}): Answer {
    this.count(code)
    return { ...document("Error", `${tag("Code", code)}${tag("Message", `This is ${code}`)}`), status, headers }
  }

  private countCall({ key, method, query }: Asked): void {
    this.count(
      `${method}${key === "" ? query.has("delete") ? " many" : query.has("uploads") ? " uploads" : " list" : ""}`
    )
  }

  private judge(
    request: http.IncomingMessage,
    asked: Asked & { readonly path: string; readonly search: string },
    body: Buffer
  ): Answer {
    try {
      this.checkSignature(request, asked, body)
      const content = String(request.headers["x-amz-content-sha256"]).startsWith("STREAMING")
        ? contentChunks(body)
        : body
      return asked.key === "" ? this.ofBucket(asked, content) : this.ofObject(request.headers, asked, content)
    } catch (error) {
      if (error instanceof Refusal) return this.refusal(error)
      throw error
    }
  }

  private checkSignature(
    { headers }: http.IncomingMessage,
    { method, path, search }: { readonly method: string; readonly path: string; readonly search: string },
    body: Buffer
  ): void {
    const [, accessKey, day = "", region = "", names = "", signature] =
      authorization.exec(headers.authorization ?? "") ?? []
    if (accessKey === undefined) throw new Refusal(403, "AccessDenied")
    if (this.expired.has(accessKey)) throw new Refusal(400, "ExpiredToken")
    if (accessKey !== this.service.accessKeyId) throw new Refusal(403, "InvalidAccessKeyId")
    const date = String(headers["x-amz-date"])
    const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? []
    const asked = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`)
    if (!(Math.abs(Date.now() + this.aheadMillis - asked) < mostSkewMillis)) {
      throw new Refusal(403, "RequestTimeTooSkewed")
    }
    const hash = String(headers["x-amz-content-sha256"])
    const signed = names.split(";").map((name) => `${name}:${String(headers[name]).trim().replaceAll(/ +/g, " ")}\n`)
    const where = path.split("/").map(canonical).join("/")
    const asCanonical = [method, where, canonicalQuery(search), signed.join(""), names, hash].join("\n")
    const scope = `${day}/${region}/s3/aws4_request`
    const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hex("sha256", asCanonical)}`
    const signingKey = ["s3", "aws4_request"].reduce(
      hmac,
      hmac(hmac(`AWS4${this.service.secretAccessKey}`, day), region)
    )
    if (hmac(signingKey, text).toString("hex") !== signature) throw new Refusal(403, "SignatureDoesNotMatch")
    if (/^[0-9a-f]{64}$/.test(hash) && hash !== hex("sha256", body)) throw new Refusal(400, "XAmzContentSHA256Mismatch")
  }

  private objectsOf(bucket: string): Map<string, Stored> {
    const objects = this.buckets.get(bucket)
    if (objects === undefined) throw new Refusal(404, "NoSuchBucket")
    return objects
  }

  private ofBucket({ bucket, method, query }: Asked, body: Buffer): Answer {
    if (method === "PUT") {
      if (!this.buckets.has(bucket)) this.buckets.set(bucket, new Map())
      return { status: 200 }
    }
    if (method === "GET" && bucket === "") {
      const names = Array.from(this.buckets.keys(), (name) => `<Bucket>${tag("Name", name)}</Bucket>`)
      return document("ListAllMyBucketsResult", `<Buckets>${names.join("")}</Buckets>`)
    }
    const objects = this.objectsOf(bucket)
    if (method === "HEAD") return { status: 200 }
    if (query.has("delete")) {
      if (this.lacks.has("deletions")) throw new Refusal(405, "MethodNotAllowed")
      for (const [, key = ""] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) objects.delete(unescaped(key))
      return document("DeleteResult", "")
    }
    if (query.has("uploads")) return this.listUploads(bucket, query.get("prefix") ?? "")
    if (query.has("location")) return document("LocationConstraint", "")
    return this.list(objects, query)
  }

  private listUploads(bucket: string, prefix: string): Answer {
    const found = Array.from(this.uploads)
      .filter(([, upload]) => upload.bucket === bucket && upload.key.startsWith(prefix))
      .toSorted(([, a], [, b]) => compare(a.key, b.key))
      .map(([id, { begunAt, key }]) =>
        `<Upload>${tag("Key", key)}${tag("UploadId", id)}${
          this.lacks.has("times") ? "" : tag("Initiated", begunAt.toISOString())
        }</Upload>`
      )
    return document("ListMultipartUploadsResult", `${tag("IsTruncated", false)}${found.join("")}`)
  }

  /** Both versions of the listing, with delimiters, for other clients. */
  private list(objects: ReadonlyMap<string, Stored>, query: ReadonlyMap<string, string>): Answer {
    const prefix = query.get("prefix") ?? ""
    const delimiter = query.get("delimiter") ?? ""
    const most = Math.min(Number(query.get("max-keys") ?? 1000), 1000)
    const token = query.get("continuation-token")
    const after = token === undefined
      ? query.get("start-after") ?? query.get("marker")
      : Buffer.from(token, "hex").toString()
    const encode = query.get("encoding-type") === "url" ? urlText : (text: string) => text
    const contents: Array<string> = []
    const prefixes = new Set<string>()
    let last = ""
    let isTruncated = false
    for (const key of Array.from(objects.keys()).toSorted(compare)) {
      if (!key.startsWith(prefix) || (after !== undefined && compare(key, after) <= 0)) continue
      const end = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length)
      const group = end < 0 ? undefined : key.slice(0, end + delimiter.length)
      if (group !== undefined && (prefixes.has(group) || after?.startsWith(group) === true)) continue
      isTruncated = contents.length + prefixes.size >= most
      if (isTruncated) break
      last = group ?? key
      const stored = objects.get(key)
      if (group !== undefined) prefixes.add(group)
      else if (stored !== undefined) {
        const time = this.lacks.has("times") ? "" : tag("LastModified", stored.storedAt.toISOString())
        contents.push(
          `<Contents>${tag("Key", encode(key))}${time}${tag("ETag", stored.etag)}${tag("Size", stored.bytes.length)}${
            tag("StorageClass", "STANDARD")
          }</Contents>`
        )
      }
    }
    const next = isTruncated
      ? tag("NextContinuationToken", Buffer.from(last).toString("hex")) + tag("NextMarker", encode(last))
      : ""
    const groups = Array.from(prefixes, (group) => `<CommonPrefixes>${tag("Prefix", encode(group))}</CommonPrefixes>`)
    const encoding = query.has("encoding-type") ? tag("EncodingType", "url") : ""
    const facts = `${tag("Prefix", encode(prefix))}${tag("MaxKeys", most)}${tag("IsTruncated", isTruncated)}`
    return document("ListBucketResult", `${facts}${encoding}${next}${contents.join("")}${groups.join("")}`)
  }

  private ofObject(headers: http.IncomingHttpHeaders, asked: Asked, body: Buffer): Answer {
    const { bucket, key, method, query } = asked
    const objects = this.objectsOf(bucket)
    const id = query.get("uploadId")
    if (id !== undefined) return this.ofUpload(headers, asked, id, body)
    if (method === "POST" && query.has("uploads")) {
      const made = randomUUID()
      this.uploads.set(made, { bucket, key, begunAt: new Date(), headers: keptHeaders(headers), parts: new Map() })
      return document("InitiateMultipartUploadResult", tag("UploadId", made))
    }
    if (method === "PUT") return this.put(headers, objects, key, body)
    if (method === "DELETE") {
      objects.delete(key)
      return { status: 204 }
    }
    return this.read(headers, objects.get(key))
  }

  private put(
    headers: http.IncomingHttpHeaders,
    objects: Map<string, Stored>,
    key: string,
    body: Buffer
  ): Answer {
    const isOnCondition = headers["if-none-match"] !== undefined || headers["if-match"] !== undefined
    if (isOnCondition && this.lacks.has("conditions")) throw new Refusal(501, "NotImplemented")
    checkDigests(headers, body)
    const source = this.sourceOf(headers)
    checkConditions(headers, objects.get(key))
    const bytes = source?.bytes ?? body
    const isReplaced = source === undefined || headers["x-amz-metadata-directive"] === "REPLACE"
    const kept = isReplaced ? keptHeaders(headers) : source.headers
    const stored = { bytes, etag: `"${hex("md5", bytes)}"`, storedAt: new Date(), headers: kept }
    objects.set(key, stored)
    if (source === undefined) return { status: 200, headers: { etag: stored.etag, ...checksumOf(headers, bytes) } }
    return document(
      "CopyObjectResult",
      tag("ETag", stored.etag) + tag("LastModified", stored.storedAt.toISOString()) +
        tag("ChecksumCRC32", crcText(bytes))
    )
  }

  private sourceOf(headers: http.IncomingHttpHeaders): Stored | undefined {
    const text = headers["x-amz-copy-source"]
    if (text === undefined) return undefined
    const [, bucket = "", ...names] = `/${String(text).replace(/^\//, "")}`.split("/")
    const stored = this.objectsOf(bucket).get(decodeURIComponent(names.join("/")))
    if (stored === undefined) throw new Refusal(404, "NoSuchKey")
    const match = headers["x-amz-copy-source-if-match"]
    if (match !== undefined && match !== stored.etag) throw new Refusal(412, "PreconditionFailed")
    return stored
  }

  private ofUpload(headers: http.IncomingHttpHeaders, asked: Asked, id: string, body: Buffer): Answer {
    const { key, method, query } = asked
    const upload = this.uploads.get(id)
    if (upload === undefined || upload.key !== key) throw new Refusal(404, "NoSuchUpload")
    if (method === "PUT") {
      checkDigests(headers, body)
      const source = this.sourceOf(headers)
      const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(String(headers["x-amz-copy-source-range"])) ?? []
      const bytes = source === undefined ? body : source.bytes.subarray(Number(start), Number(end) + 1)
      const etag = `"${hex("md5", bytes)}"`
      upload.parts.set(Number(query.get("partNumber")), { bytes, etag, storedAt: new Date() })
      if (source === undefined) return { status: 200, headers: { etag, ...checksumOf(headers, bytes) } }
      return document("CopyPartResult", tag("ETag", etag) + tag("ChecksumCRC32", crcText(bytes)))
    }
    if (method === "POST") return this.complete(headers, upload, id, body)
    if (method === "DELETE") {
      this.uploads.delete(id)
      return { status: 204 }
    }
    const from = Number(query.get("part-number-marker") ?? 0)
    // Small pages, so that a client has to ask for the next one.
    const parts = Array.from(upload.parts).filter(([number]) => number > from).toSorted(([a], [b]) => a - b)
    const page = parts.slice(0, 2).map(([number, { bytes, etag, storedAt }]) =>
      `<Part>${tag("PartNumber", number)}${tag("ETag", etag)}${tag("Size", bytes.length)}${
        tag("LastModified", storedAt.toISOString())
      }${tag("ChecksumCRC32", crcText(bytes))}</Part>`
    )
    const next = tag("NextPartNumberMarker", parts[1]?.[0] ?? 0)
    return document("ListPartsResult", `${tag("IsTruncated", parts.length > 2)}${next}${page.join("")}`)
  }

  private complete(headers: http.IncomingHttpHeaders, upload: OpenParts, id: string, body: Buffer): Answer {
    const asked = Array.from(body.toString().matchAll(/<Part>(.*?)<\/Part>/gs), ([, text = ""]) => {
      const [, number] = /<PartNumber>(\d+)/.exec(text) ?? []
      const [, etag = ""] = /<ETag>([^<]*)/.exec(text) ?? []
      return { number: Number(number), etag: unescaped(etag).replaceAll("\"", "") }
    })
    if (asked.length === 0) throw new Refusal(400, "MalformedXML")
    const parts = asked.map(({ etag, number }) => {
      const part = upload.parts.get(number)
      if (part === undefined || part.etag !== `"${etag}"`) throw new Refusal(400, "InvalidPart")
      return part
    })
    if (asked.some(({ number }, index) => index > 0 && number <= (asked[index - 1]?.number ?? 0))) {
      throw new Refusal(400, "InvalidPartOrder")
    }
    if (parts.slice(0, -1).some(({ bytes }) => bytes.length < leastPartBytes)) throw new Refusal(400, "EntityTooSmall")
    const objects = this.objectsOf(upload.bucket)
    checkConditions(headers, objects.get(upload.key))
    const bytes = Buffer.concat(parts.map(({ bytes }) => bytes))
    const crc = headers["x-amz-checksum-crc32"]
    if (crc !== undefined && crc !== crcText(bytes)) throw new Refusal(400, "BadDigest")
    const digests = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag.slice(1, -1), "hex")))
    const etag = `"${hex("md5", digests)}-${parts.length}"`
    objects.set(upload.key, { bytes, etag, storedAt: new Date(), headers: upload.headers })
    this.uploads.delete(id)
    const told = crc === undefined ? "" : tag("ChecksumCRC32", crc) + tag("ChecksumType", "FULL_OBJECT")
    return document("CompleteMultipartUploadResult", tag("ETag", etag) + told)
  }

  private read(headers: http.IncomingHttpHeaders, stored: Stored | undefined): Answer {
    if (stored === undefined) throw new Refusal(404, "NoSuchKey")
    const { bytes, etag, storedAt } = stored
    if (headers["if-match"] !== undefined && headers["if-match"] !== etag) throw new Refusal(412, "PreconditionFailed")
    const facts = {
      etag,
      ...this.lacks.has("times") ? {} : { "last-modified": storedAt.toUTCString() },
      "accept-ranges": "bytes",
      ...stored.headers
    }
    const [, from, to] = /^bytes=(\d+)-(\d+)?$/.exec(headers.range ?? "") ?? []
    if (from === undefined) {
      const isAsked = headers["x-amz-checksum-mode"] === "ENABLED"
      const checksum = { "x-amz-checksum-crc32": crcText(bytes), "x-amz-checksum-type": "FULL_OBJECT" }
      return { status: 200, headers: { ...facts, ...isAsked ? checksum : {} }, body: bytes }
    }
    const [start, end] = [Number(from), Math.min(Number(to ?? Infinity), bytes.length - 1)]
    if (start >= bytes.length) throw new Refusal(416, "InvalidRange")
    const range = { "content-range": `bytes ${start}-${end}/${bytes.length}` }
    return { status: 206, headers: { ...facts, ...range }, body: bytes.subarray(start, end + 1) }
  }
}

const flip = (bytes: Buffer): Buffer => {
  const flipped = Buffer.from(bytes)
  flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] ?? 0) ^ 1
  return flipped
}

const attributeNames = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-type"
])

const keptHeaders = (headers: http.IncomingHttpHeaders): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith("x-amz-meta-") || attributeNames.has(name))
      .map(([name, value]) => [name, String(value)])
  )

const checksumOf = (headers: http.IncomingHttpHeaders, bytes: Buffer): Readonly<Record<string, string>> =>
  headers["x-amz-checksum-crc32"] === undefined ? {} : { "x-amz-checksum-crc32": crcText(bytes) }

const checkDigests = (headers: http.IncomingHttpHeaders, body: Buffer): void => {
  const crc = headers["x-amz-checksum-crc32"]
  const md5 = headers["content-md5"]
  if (crc !== undefined && crc !== crcText(body)) throw new Refusal(400, "BadDigest")
  if (md5 !== undefined && md5 !== createHash("md5").update(body).digest("base64")) throw new Refusal(400, "BadDigest")
}

const checkConditions = (headers: http.IncomingHttpHeaders, there: Stored | undefined): void => {
  if (headers["if-none-match"] === "*" && there !== undefined) throw new Refusal(412, "PreconditionFailed")
  const match = headers["if-match"]
  if (match === undefined) return
  if (there === undefined) throw new Refusal(404, "NoSuchKey")
  if (match.replaceAll("\"", "") !== there.etag.replaceAll("\"", "")) throw new Refusal(412, "PreconditionFailed")
}
