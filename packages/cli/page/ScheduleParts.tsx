/**
 * Shows parts of a schedule that its page and the list of schedules have in common.
 */
import type { ComponentChildren } from "preact"
import { askOfSchedule, question, server } from "./asking.ts"
import type { Schedule, ScheduleAction } from "./client.ts"
import { now } from "./live.ts"
import { go, to } from "./route.ts"
import { duration, printable } from "./shown.ts"
import { Sign, StateSign } from "./StateSign.tsx"
import { Ago, Moment } from "./Time.tsx"

interface Properties {
  readonly schedule: Schedule
}

const looks = { on: "done", due: "partial", waiting: "queued", paused: "paused", over: "cancelled" } as const

/** Whether it runs at its times, and if not, why. */
export const Standing = ({ schedule: { state, stateText } }: Properties) => (
  <span class={`state ${looks[state]}`}>
    <Sign look={looks[state]} />
    <span>{printable(stateText)}</span>
  </span>
)

/** When it runs, in words, and where the clock is that tells the time. */
export const Times = ({ schedule: { cron, timeZone, when } }: Properties) => (
  <span title={printable(cron)}>{printable(when)}{timeZone !== "UTC" && `, ${printable(timeZone)}`}</span>
)

/** A moment to come, and how long it is until then. */
export const Coming = ({ at }: { readonly at: number }) => (
  <>
    <Moment at={at} /> <span class="more">{at > now.value ? `in ${duration(at - now.value)}` : "now"}</span>
  </>
)

/** When it ran last, and how the job of that ended. */
export const Last = ({ schedule: { last, lastAt } }: Properties): ComponentChildren => {
  if (lastAt === null) return <span class="more">not yet</span>
  return (
    <>
      <Ago at={lastAt} /> {last !== null && (
        <a href={to(["jobs", last.id])} title={printable(last.error ?? last.id)}>
          <StateSign job={last} />
        </a>
      )}
    </>
  )
}

const askToRemove = (schedule: Schedule): void => {
  const name = printable(schedule.name)
  question.value = {
    title: `Remove the schedule “${name}”?`,
    text: `It runs “${printable(schedule.what)}” no more. Jobs that it has started go on, and stay in the list.`,
    yes: "Remove it",
    no: "Keep it",
    act: () => askOfSchedule("remove", schedule, () => go(to(["schedules"])))
  }
}

const labels: Readonly<Record<Exclude<ScheduleAction, "remove">, string>> = {
  pause: "Pause",
  resume: "Resume",
  run: "Run now"
}

/** What can be asked of it. To remove it is asked about first. */
export const ScheduleActions = ({ canRemove = false, schedule }: Properties & { readonly canRemove?: boolean }) => {
  const actions = [schedule.state === "paused" ? "resume" : "pause", "run"] as const
  return server.value?.isReadOnly === false
    ? (
      <div class="buttons">
        {actions.map((action) => (
          <button
            key={action}
            type="button"
            aria-label={`${labels[action]} ${printable(schedule.name)}`}
            onClick={() => askOfSchedule(action, schedule)}
          >
            {labels[action]}
          </button>
        ))}
        {canRemove && <button type="button" class="danger" onClick={() => askToRemove(schedule)}>Remove…</button>}
      </div>
    )
    : null
}
