/**
 * Hears from the server when something was stored, and reads again what is shown then. A page that nobody sees neither
 * hears nor reads.
 */
import { signal } from "@preact/signals"
import { useEffect, useRef, useState } from "preact/hooks"
import { mostSilence, Refusal, request } from "./client.ts"
import { isTaken } from "./session.ts"

/** Whether the server tells of changes; `since` is when it last did. */
export type Connection = { readonly _tag: "Connecting" } | { readonly _tag: "Live" } | {
  readonly _tag: "Lost"
  readonly since: number
}

export const connection = signal<Connection>({ _tag: "Connecting" })

/** Why the server could not read what is shown; nothing while it can. */
export const trouble = signal<string | undefined>(undefined)

/** Now, by the second, while the page is seen. */
export const now = signal(Date.now())

/** What shows something reads it again with each new number. */
const looks = signal(0)

const least = { lookMillis: 200, retryMillis: 500 }
/** The server says something each ten seconds, even if nothing was stored. */
const most = { silenceMillis: mostSilence, retryMillis: 15_000, lookMillis: 1000 }

/** Between looks is so many times the time that one takes. */
const lookCost = 5

let lookedAt = 0
/** How long the slowest answer took since then. */
let slowest = 0
let nextLook: ReturnType<typeof setTimeout> | undefined

/** A server that is slow is asked less often. */
const distance = (): number => Math.max(least.lookMillis, Math.min(most.lookMillis, lookCost * slowest))

/** Reads again what is shown: at once, or as soon as it is not too soon. */
export const look = (): void => {
  if (document.hidden || nextLook !== undefined) return
  nextLook = setTimeout(() => {
    nextLook = undefined
    if (document.hidden) return
    lookedAt = Date.now()
    slowest = 0
    looks.value++
  }, Math.max(0, lookedAt + distance() - Date.now()))
}

let nextChance: ReturnType<typeof setTimeout> | undefined

/** Reads again what could not be read, also where nothing is stored until then. */
const lookLater = (): void => {
  nextChance ??= setTimeout(() => {
    nextChance = undefined
    look()
  }, most.retryMillis)
}

let retry = least.retryMillis
let heardAt = 0
let heard: AbortController | undefined
let nextTry: ReturnType<typeof setTimeout> | undefined

const lost = (): void => {
  heard = undefined
  if (document.hidden || !isTaken.value) return
  if (connection.value._tag !== "Lost") connection.value = { _tag: "Lost", since: lookedAt }
  nextTry = setTimeout(() => void hear(), retry)
  retry = Math.min(most.retryMillis, 2 * retry)
}

/** Reads the stream of events until it ends. */
const hear = async (): Promise<void> => {
  clearTimeout(nextTry)
  const controller = new AbortController()
  heard?.abort()
  heard = controller
  heardAt = Date.now()
  const late = setTimeout(() => controller.abort(), most.silenceMillis)
  try {
    const { body } = await request("api/events", { signal: controller.signal }).finally(() => clearTimeout(late))
    if (body === null) throw new Error("An answer without a body")
    connection.value = { _tag: "Live" }
    heardAt = Date.now()
    retry = least.retryMillis
    look()
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    let line = ""
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      heardAt = Date.now()
      const lines = (line + read.value).split(/\r?\n/)
      line = lines.pop() ?? ""
      if (lines.some((one) => one.startsWith("data:"))) look()
    }
  } catch {
    // It is told below, as is an end.
  }
  if (heard === controller) lost()
}

/** Tries at once what would be tried later. */
export const tryNow = (): void => void hear()

/** Begins to hear, and stops while the page is not seen. */
export const start = (): void => {
  let clock: ReturnType<typeof setInterval> | undefined
  const seen = () => {
    clearInterval(clock)
    if (document.hidden) {
      clearTimeout(nextTry)
      heard?.abort()
      heard = undefined
      return
    }
    now.value = Date.now()
    clock = setInterval(() => {
      now.value = Date.now()
      // A machine that slept, or a cable that was pulled, ends no stream.
      if (connection.value._tag === "Live" && now.value - heardAt > most.silenceMillis) {
        heard?.abort()
        lost()
      }
    }, 1000)
    void hear()
  }
  document.addEventListener("visibilitychange", seen)
  seen()
}

/** What was read last, and why the last reading failed. `isStale` while what is asked for is not yet there. */
export interface Live<A> {
  readonly value: A | undefined
  readonly error: Error | undefined
  readonly isStale: boolean
}

/** Whether to ask again would give the same. */
const isAnswer = (error: Error): boolean => error instanceof Refusal && error.status < 500

/** What keeps the server from reading; that it can't be reached is told elsewhere. */
const troubleOf = (error: Error): string | undefined =>
  error instanceof Refusal && !isAnswer(error) ? error.message : undefined

/**
 * Reads something now and whenever it may have changed, at most each `everyMillis`. With another `key`, something else
 * is read. What has a `version` can only have changed if that has.
 */
export const useLive = <A>(
  key: string,
  read: (signal: AbortSignal) => Promise<A>,
  everyMillis = 0,
  version?: number
): Live<A> => {
  const [shown, show] = useState<{ key: string; value?: A; error?: Error }>({ key })
  const latest = useRef({ read, version })
  latest.current = { read, version }
  const renew = useRef(() => {})
  useEffect(() => {
    const ended = new AbortController()
    let shownVersion: number | undefined
    let isReading = false
    let isOutdated = false
    let readAt = 0
    let later: ReturnType<typeof setTimeout> | undefined
    const again = async () => {
      const { read, version } = latest.current
      if (version !== undefined && version === shownVersion) return
      isOutdated = true
      if (isReading || later !== undefined) return
      if (Date.now() - readAt < everyMillis) {
        later = setTimeout(() => {
          later = undefined
          if (!document.hidden) void again()
        }, readAt + everyMillis - Date.now())
        return
      }
      isReading = true
      isOutdated = false
      readAt = Date.now()
      const next = await read(ended.signal).then(
        (value) => ({ value }),
        (error: unknown) => ({ error: error instanceof Error ? error : new Error(String(error)) })
      )
      isReading = false
      if (ended.signal.aborted) return
      shownVersion = "error" in next ? undefined : version
      slowest = Math.max(slowest, Date.now() - readAt)
      if ("error" in next && !isAnswer(next.error)) lookLater()
      trouble.value = "error" in next ? troubleOf(next.error) : undefined
      // What was read before stays while the server is away.
      show((before) => "error" in next && before.key === key ? { ...before, ...next } : { key, ...next })
      if (isOutdated && !document.hidden) void again()
    }
    renew.current = () => void again()
    const stop = looks.subscribe(renew.current)
    return () => {
      ended.abort()
      clearTimeout(later)
      stop()
    }
  }, [key])
  useEffect(() => {
    if (version !== undefined) renew.current()
  }, [version])
  return { value: shown.value, error: shown.key === key ? shown.error : undefined, isStale: shown.key !== key }
}
