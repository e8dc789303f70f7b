/**
 * Asks the API, which is below the page wherever that is. Its types are the server's own.
 */
import type { JobHistory } from "@fanout/core/JobHistory"
import type * as Api from "../src/api/Api.ts"
import { isTaken, token } from "./session.ts"

export type Row = typeof Api.JobRow.Encoded
export type Detail = typeof Api.JobDetail.Encoded
export type Element = typeof Api.Item.Encoded
export type History = typeof JobHistory.Encoded
export type Child = typeof Api.ChildRow.Encoded
export type Children = typeof Api.ChildPage.Encoded
export type Choice = Api.Choice
export type Schedule = typeof Api.Schedule.Encoded
export type Schedules = typeof Api.SchedulePage.Encoded
export type ScheduleAction = Api.ScheduleAction
export type ScheduleAnswer = typeof Api.ScheduleAnswer.Encoded
export type LogLine = typeof Api.LogLine.Encoded
export type Action = Api.Action

export type Listing = typeof Api.JobPage.Encoded
export type Elements = typeof Api.ItemPage.Encoded
export type About = Api.About
export type TaskTimes = typeof Api.TaskTimes.Encoded
export type Process = typeof Api.Process.Encoded
export type CommonLimit = typeof Api.CommonLimit.Encoded
export type Examination = typeof Api.Examination.Encoded
export type Answer = typeof Api.Answer.Encoded

export interface Settings {
  readonly priority?: Detail["priority"]
  readonly concurrency?: number | null
  readonly bytesPerSecond?: number | null
}

export type Query = Readonly<Record<string, string | number | ReadonlyArray<string> | null | undefined>>

/** The server answered, and did not do what it was asked. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const addressOf = (path: string, query: Query): string => {
  const params = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [value].flat().map((one) => [name, `${one}`])
  )
  return `api${path}${params.length === 0 ? "" : `?${new URLSearchParams(params)}`}`
}

/** Sends a request with the token, and gives the response if the server did what was asked. */
export const request = async (address: string, init: RequestInit = {}): Promise<Response> => {
  const headers = {
    ...token === null ? {} : { authorization: `Bearer ${token}` },
    ...init.body === undefined ? {} : { "content-type": "application/json" }
  }
  const response = await fetch(address, { cache: "no-store", ...init, headers })
  if (response.status === 401) isTaken.value = false
  if (response.ok) return response
  const text = await response.text()
  throw new Refusal(
    response.status,
    messageOf(text) ?? `The server answered ${response.status} ${response.statusText}.`
  )
}

const messageOf = (text: string): string | undefined => {
  try {
    const { message } = JSON.parse(text)
    return typeof message === "string" && message !== "" ? message : undefined
  } catch {
    return undefined
  }
}

/** A server that answers later than this is as good as away. */
export const mostSilence = 30_000

const get = async <A>(path: string, query: Query, signal?: AbortSignal): Promise<A> => {
  const late = AbortSignal.timeout(mostSilence)
  const until = signal === undefined ? late : AbortSignal.any([signal, late])
  return (await request(addressOf(path, query), { signal: until })).json()
}

const post = async (path: string, body: unknown): Promise<Response> =>
  request(addressOf(path, {}), { method: "POST", body: JSON.stringify(body) })

const job = (id: string): string => `/jobs/${encodeURIComponent(id)}`

export const about = (): Promise<About> => get("/about", {})

export const list = (query: Query, signal: AbortSignal): Promise<Listing> => get("/jobs", query, signal)

export const examination = (signal: AbortSignal): Promise<Examination> => get("/doctor", {}, signal)

export const detail = (id: string, signal: AbortSignal): Promise<Detail> => get(job(id), {}, signal)

export const children = (id: string, signal: AbortSignal): Promise<Children> => get(`${job(id)}/children`, {}, signal)

export const history = (id: string, signal: AbortSignal): Promise<History> => get(`${job(id)}/history`, {}, signal)

export const taskTimes = (id: string, signal: AbortSignal): Promise<TaskTimes> => get(`${job(id)}/tasks`, {}, signal)

export const processes = (signal: AbortSignal): Promise<ReadonlyArray<Process>> => get("/processes", {}, signal)

export const limits = (signal: AbortSignal): Promise<ReadonlyArray<CommonLimit>> => get("/limits", {}, signal)

export const setLimit = async (limit: { readonly [K in keyof CommonLimit]: CommonLimit[K] | null }): Promise<void> => {
  await post("/limits", limit)
}

export const elements = (id: string, query: Query, signal: AbortSignal): Promise<Elements> =>
  get(`${job(id)}/items`, query, signal)

export const log = (id: string, signal: AbortSignal): Promise<ReadonlyArray<LogLine>> =>
  get(`${job(id)}/log`, {}, signal)

export const ask = async (action: Action, ids: ReadonlyArray<string>): Promise<ReadonlyArray<Answer>> =>
  (await post("/jobs/actions", { action, ids })).json()

/** Has failed elements of a job run again: some of them, or all of a cause. */
export const retry = async (id: string, only: Choice): Promise<void> => {
  await post(`${job(id)}/retry`, only)
}

export const schedules = (query: Query, signal: AbortSignal): Promise<Schedules> => get("/schedules", query, signal)

export const schedule = (name: string, signal: AbortSignal): Promise<Schedule> =>
  get(`/schedules/${encodeURIComponent(name)}`, {}, signal)

export const askSchedules = async (
  action: ScheduleAction,
  names: ReadonlyArray<string>
): Promise<ReadonlyArray<ScheduleAnswer>> => (await post("/schedules/actions", { action, names })).json()

/** Forgets jobs that ended longer ago than this, and says how many. */
export const prune = async (olderThanMillis: number): Promise<number> => {
  const { removed }: { readonly removed: number } = await (await post("/jobs/prune", { olderThanMillis })).json()
  return removed
}

export const set = async (id: string, settings: Settings): Promise<void> => {
  await post(`${job(id)}/settings`, settings)
}
