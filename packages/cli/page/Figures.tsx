/**
 * Shows the five figures of a job: how much is done of how much, how fast now and on the whole, for how long, and how
 * much failed.
 */
import type { Detail, History } from "./client.ts"
import { isOver } from "./JobRow.tsx"
import { meanOf, pointsOf, unitOf } from "./rates.ts"
import { to } from "./route.ts"
import { amount, count, duration, percent, printable, rate, rateOf, type Unit } from "./shown.ts"

const none = "–"

interface Properties {
  readonly job: Detail
  readonly history: History | undefined
}

const doneOf = ({ failed, done, share, skipped, totals, units }: Detail["progress"]): readonly [string, string] => {
  const items = done + failed + skipped
  const of = (unit: Unit, now: number): string => {
    const all = totals[unit] ?? 0
    return [all >= now && all > 0 && `of ${amount(unit, all)}`, share !== null && percent(share)]
      .filter((part) => part !== false).join(" · ")
  }
  const { bytes = 0 } = units
  return bytes > 0 ? [amount("bytes", bytes), of("bytes", bytes)] : [count(items), of("items", items)]
}

export const Figures = ({ history, job }: Properties) => {
  const { progress } = job
  const { bytes } = progress.units
  const [done, all] = doneOf(progress)
  const isMoving = job.state === "Running" && !job.isOwnerDead
  const unit = unitOf(history)
  const points = history === undefined ? [] : pointsOf(history, unit)
  const mean = meanOf(points)
  const highest = points.length === 0 ? undefined : Math.max(...points.map(({ perSecond }) => perSecond))
  const end = job.finishedAt
  const figures = [
    [bytes === undefined ? "Handled" : "Done", done, all === "" ? printable(job.counted) : all],
    isOver(job)
      ? ["Highest rate", highest === undefined ? none : rate(unit, highest), ""]
      : ["Rate now", (isMoving && rateOf(progress)) || none, ""],
    ["Mean rate", mean === undefined ? none : rate(unit, mean.perSecond), mean && `over ${duration(mean.millis)}`],
    isOver(job) && end !== null && progress.startedAt !== null
      ? ["Took", duration(end - progress.startedAt), "in its last run"]
      : ["Time left", isMoving && progress.leftMillis !== null ? duration(progress.leftMillis) : none, ""]
  ] as const
  return (
    <dl class="figures">
      {figures.map(([name, figure, more]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{figure}</dd>
          <dd class="more">{more}</dd>
        </div>
      ))}
      <div class={progress.failed > 0 ? "bad" : ""}>
        <dt>{job.name === "verify" ? "Differ" : "Failed"}</dt>
        <dd>{progress.failed > 0 ? <a href={to(["jobs", job.id, "failed"])}>{count(progress.failed)}</a> : "0"}</dd>
        <dd class="more">{progress.skipped > 0 ? `${count(progress.skipped)} skipped` : ""}</dd>
      </div>
    </dl>
  )
}
