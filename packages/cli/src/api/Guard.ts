/**
 * Decides which requests a server on the loopback address answers. Pure: a request goes in, why it is refused comes
 * out.
 *
 * Any page of any site can have a browser send requests here, and a name of any site can lead here. So a request has to
 * name this address as its host, has to come from no other page, and has to know the token, which other programs and
 * pages don't.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingHttpHeaders } from "node:http"
import * as Health from "./Health.ts"
import * as Page from "./Page.ts"

/** Largest body that is read. */
const mostBytes = 1024 * 1024

/** What is asked for. */
export interface Asked {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** Why a request is refused. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 411 | 413 | 421
  readonly tag: string
  readonly message: string
}

/** Names of this server. The usual port of HTTP is left out by who asks. */
const hosts = (port: number): ReadonlyArray<string> =>
  ["127.0.0.1", "localhost", "[::1]"].flatMap((at) => port === 80 ? [at, `${at}:80`] : [`${at}:${port}`])

const hash = (text: string): Buffer => createHash("sha256").update(text).digest()

/** Whether a request has a secret. How long that takes tells nothing about how much of it is right. */
export const knows = (secret: string, authorization = ""): boolean =>
  timingSafeEqual(hash(authorization), hash(`Bearer ${secret}`))

/**
 * Whether it is the page of another site that has the browser ask. The browser itself says so where it can: a proxy may
 * ask under another name than the page has. Where it does not, the scheme is not compared, which ends at a proxy.
 */
export const isForeign = ({ "sec-fetch-site": site, host, origin }: IncomingHttpHeaders): boolean =>
  site === undefined
    ? origin !== undefined && origin.replace(/^https?:\/\//, "") !== host
    : site !== "same-origin" && site !== "none"

/** Why a request is refused, if it is. */
export const refusal = (
  { headers, method = "", url = "" }: Asked,
  { port, token }: { readonly port: number; readonly token: string }
): Refusal | undefined => {
  if (!hosts(port).includes(headers.host?.toLowerCase() ?? "")) {
    return { status: 421, tag: "OtherHost", message: "This server answers for 127.0.0.1 and localhost only" }
  }
  if (isForeign(headers)) return { status: 403, tag: "Foreign", message: "Requests of other sites are refused" }
  if (!url.startsWith("/")) return { status: 400, tag: "NoPath", message: "The request names no path" }
  const [path = ""] = url.split("?", 1)
  if (!Page.paths.has(path) && path !== Health.path && !knows(token, headers.authorization)) {
    return {
      status: 401,
      tag: "Unauthorized",
      message: "The token is missing or wrong. The address that `fanout ui` tells has a code for it"
    }
  }
  if (headers["transfer-encoding"] !== undefined) {
    return { status: 411, tag: "NoLength", message: "A body needs a Content-Length" }
  }
  if (Number(headers["content-length"] ?? 0) > mostBytes) {
    return { status: 413, tag: "TooLarge", message: `${method} takes at most ${mostBytes} bytes` }
  }
  return undefined
}
