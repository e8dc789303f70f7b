// A bucket of S3 with so many empty objects that no real one would be filled with them in time: listings are made page
// by page. Nothing is ever there but the keys, and what is removed is only counted.
import { once } from "node:events"
import * as http from "node:http"
import { setTimeout } from "node:timers/promises"

export interface ManyKeys {
  readonly endpoint: string
  /** Keys that were removed, and requests, since the last look. */
  readonly look: () => { readonly requests: number; readonly removed: number }
  readonly stop: () => void
}

const pageKeys = 1000

/** Keys of a tree of `makeTree`, in the order of their bytes. */
class Keys {
  readonly size: number
  private readonly folders: ReadonlyArray<string>
  private readonly files: ReadonlyArray<string>

  constructor(prefix: string, folders: number, filesInFolder: number) {
    const names = (count: number, nameOf: (n: number) => string) => Array.from({ length: count }, (_, n) => nameOf(n))
    // All are ASCII.
    this.folders = names(folders, (n) => `${prefix}folder-${n}/`).toSorted()
    this.files = names(filesInFolder, (n) => `file-${n}`).toSorted()
    this.size = folders * filesInFolder
  }

  at(index: number): string {
    const { length } = this.files
    return `${this.folders[Math.floor(index / length)]}${this.files[index % length]}`
  }

  /** How many keys are not behind this one. */
  until(key: string): number {
    let [low, high] = [0, this.size]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.at(middle) <= key) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** They were stored in an hour, so that files that were made now count as older. */
const storedAt = new Date(Date.now() + 3_600_000).toISOString()
const md5 = "d41d8cd98f00b204e9800998ecf8427e"
const facts = `<LastModified>${storedAt}</LastModified><ETag>&quot;${md5}&quot;</ETag><Size>0</Size>`
const contents = (key: string): string => `<Contents><Key>${key}</Key>${facts}</Contents>`

const headers = { "content-length": "0", etag: `"${md5}"`, "last-modified": new Date(storedAt).toUTCString() }

/** The key in the path of a request. */
const nameIn = (pathname: string): string => pathname.split("/").slice(2).join("/")

/** The folders in a folder, from behind a key on. */
const foldersIn = (keys: Keys, prefix: string, after: string): string => {
  const folders: Array<string> = []
  let at = keys.until(after > prefix ? after : prefix)
  while (at < keys.size && folders.length < pageKeys && keys.at(at).startsWith(prefix)) {
    const key = keys.at(at)
    const folder = key.slice(0, key.indexOf("/", prefix.length) + 1) || key
    folders.push(folder)
    at = keys.until(`${folder}~`)
  }
  const tag = (folder: string) =>
    folder.endsWith("/") ? `<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>` : contents(folder)
  return `<ListBucketResult><IsTruncated>${folders.length === pageKeys}</IsTruncated>${
    folders.map(tag).join("")
  }</ListBucketResult>`
}

/** A page of a listing. */
const page = (keys: Keys, query: URLSearchParams): string => {
  const prefix = query.get("prefix") ?? ""
  const after = query.get("continuation-token") ?? query.get("start-after") ?? ""
  if (query.get("delimiter") === "/") return foldersIn(keys, prefix, after)
  const first = keys.until(after > prefix ? after : prefix)
  const end = Math.min(first + Math.min(pageKeys, Number(query.get("max-keys") ?? pageKeys)), keys.size)
  const found = Array.from({ length: end - first }, (_, n) => keys.at(first + n)).filter((key) =>
    key.startsWith(prefix)
  )
  const isTruncated = end < keys.size && keys.at(end).startsWith(prefix)
  const next = isTruncated ? `<NextContinuationToken>${found.at(-1)}</NextContinuationToken>` : ""
  return `<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${next}${
    found.map(contents).join("")
  }</ListBucketResult>`
}

/** Serves a bucket of any name, whose listings take so long. */
export const serve = async (
  prefix: string,
  folders: number,
  filesInFolder: number,
  delayMillis = 0
): Promise<ManyKeys> => {
  const keys = new Keys(prefix, folders, filesInFolder)
  let [requests, removed] = [0, 0]
  const server = http.createServer((request, response) => {
    requests++
    const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost")
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      if (request.method === "HEAD" && keys.at(keys.until(nameIn(pathname)) - 1) === nameIn(pathname)) {
        return void response.writeHead(200, headers).end()
      }
      const isOfBucket = pathname.split("/").filter((name) => name !== "").length === 1
      if (!isOfBucket) return void response.writeHead(404).end("<Error><Code>NoSuchKey</Code></Error>")
      if (request.method === "GET") {
        return void setTimeout(delayMillis).then(() => response.end(page(keys, searchParams)))
      }
      removed += Buffer.concat(chunks).toString().split("<Key>").length - 1
      response.end("<DeleteResult></DeleteResult>")
    })
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (typeof address !== "object" || address === null) throw new Error("the server has no port")
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    look: () => {
      const seen = { requests, removed }
      requests = removed = 0
      return seen
    },
    stop: () => {
      server.close()
      server.closeAllConnections()
    }
  }
}
