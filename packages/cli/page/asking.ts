/**
 * Asks something of jobs, after a question where it can't be undone, and keeps what came of it to be told.
 */
import { signal } from "@preact/signals"
import {
  type About,
  about,
  type Action,
  type Answer,
  ask,
  askSchedules,
  type Choice,
  type Detail,
  Refusal,
  retry,
  type Schedule,
  type ScheduleAction
} from "./client.ts"
import { look } from "./live.ts"
import { count, counted, printable } from "./shown.ts"

/** What is told at the foot of the page until somebody has seen it. */
export interface Notice {
  readonly id: number
  readonly text: string
  readonly isBad: boolean
}

export const notices = signal<ReadonlyArray<Notice>>([])

const mostNotices = 3
const shownMillis = 10_000
let lastNotice = 0

export const dismiss = (id: number): void => {
  notices.value = notices.value.filter((notice) => notice.id !== id)
}

export const tell = (text: string, isBad = false): void => {
  const id = ++lastNotice
  notices.value = [...notices.value, { id, text, isBad }].slice(-mostNotices)
  if (!isBad) setTimeout(() => dismiss(id), shownMillis)
}

/** What the server said of itself; nothing until it has. */
export const server = signal<About | undefined>(undefined)

/** Reads what the server is. A server that is away is told of elsewhere. */
export const meet = (): Promise<void> =>
  about().then((said) => {
    server.value = said
  }, () => {})

/** Verbs as they are on buttons, and as they are told afterwards. */
export const verbs: Readonly<Record<Action, readonly [now: string, done: string]>> = {
  pause: ["Pause", "asked to pause"],
  resume: ["Resume", "queued to go on"],
  retry: ["Retry", "queued for their failures to run again"],
  cancel: ["Cancel", "asked to cancel"]
}

/** A question that is open, and what a yes does. */
export interface Question {
  readonly title: string
  readonly text: string
  readonly yes: string
  readonly no: string
  readonly act: () => void
}

export const question = signal<Question | undefined>(undefined)

/** Where this process runs no queued jobs, somebody else has to. */
const whoRuns = (action: Action): string =>
  server.value?.works === false && (action === "resume" || action === "retry")
    ? " They begin when a process runs them: start `fanout jobs work`, or give the command again."
    : ""

const outcome = (action: Action, answers: ReadonlyArray<Answer>): void => {
  const refused = answers.flatMap(({ id, refused }) => refused === null ? [] : [`${id}: ${refused}`])
  const taken = answers.length - refused.length
  if (taken > 0) tell(`${counted(taken, "job")} ${verbs[action][1]}.${whoRuns(action)}`)
  const [first = ""] = refused
  if (refused.length === 1) tell(`Refused. ${printable(first)}`, true)
  if (refused.length > 1) tell(`${count(refused.length)} were refused. ${printable(first)}, and so on.`, true)
}

/** Tells why something did not come to be. */
export const tellError = (error: unknown): void =>
  tell(
    error instanceof Refusal ? printable(error.message) : "The server can't be reached; nothing was asked of it.",
    true
  )

const askNow = (action: Action, ids: ReadonlyArray<string>): void => {
  ask(action, ids).then((answers) => {
    outcome(action, answers)
    look()
  }, tellError)
}

/** Says who runs a job that is queued. */
export const whoRunsIt = ({ hasCode, id, parent }: Pick<Detail, "hasCode" | "id" | "parent">): string => {
  if (parent !== null) return "It begins once the job runs that has started this one."
  if (!hasCode) return "Its own program runs it."
  return server.value?.works === true
    ? "The process of this page runs it."
    : `It begins once a process runs it: \`fanout jobs resume ${id}\`, or \`fanout jobs work\`.`
}

/** Has chosen failed elements of a job run again. */
export const retryOnly = (job: Detail, only: Choice, what: string, onDone: () => void): void =>
  void retry(job.id, only).then(() => {
    tell(`${what} queued to run again. ${whoRunsIt(job)}`)
    onDone()
    look()
  }, tellError)

const scheduleVerbs: Readonly<Record<Exclude<ScheduleAction, "run">, string>> = {
  pause: "is paused",
  resume: "goes on",
  remove: "is removed. Jobs that it has started go on"
}

/** Asks something of a schedule, and says what came of it. */
export const askOfSchedule = (
  action: ScheduleAction,
  { hasCode, name }: Schedule,
  onDone: () => void = () => {}
): void =>
  void askSchedules(action, [name]).then(([answer]) => {
    const { job = null, refused = null } = answer ?? {}
    if (refused !== null) tell(`Refused. ${printable(refused)}.`, true)
    else if (action !== "run") tell(`Schedule “${printable(name)}” ${scheduleVerbs[action]}.`)
    else if (job !== null) {
      tell(`Job ${job} of “${printable(name)}” is queued. ${whoRunsIt({ hasCode, id: job, parent: null })}`)
    }
    if (refused === null) onDone()
    look()
  }, tellError)

/** Asks something of jobs. To cancel is asked about first: it can't be undone. */
export const askOf = (action: Action, ids: ReadonlyArray<string>, title?: string): void => {
  if (ids.length === 0) return
  if (action !== "cancel") return askNow(action, ids)
  const jobs = counted(ids.length, "job")
  question.value = {
    title: `Cancel ${jobs}?`,
    text: `${title === undefined ? "" : `“${title}”. `}What ${ids.length === 1 ? "it has" : "they have"} done stays. ` +
      "What is under way is cleaned up. A cancelled job can't go on.",
    yes: `Cancel ${jobs}`,
    no: ids.length === 1 ? "Keep it" : "Keep them",
    act: () => askNow(action, ids)
  }
}
