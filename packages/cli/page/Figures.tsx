/**
 * Shows the five figures of a job: how much is done of how much, how fast now and on the whole, for how long, and how
 * much failed.
 */
import type { Detail, History } from "./client.ts"
import { isOver } from "./places.ts"
import { meanOf, pointsOf, unitOf } from "./rates.ts"
import { to } from "./route.ts"
import { amount, count, duration, percent, printable, rate, rateOf, type Unit } from "./shown.ts"

const none = "–"

interface Properties {
  readonly job: Detail
  readonly history: History | undefined
}

/** How much is done, and of how much: where only a share is known, that is about so much. */
const doneOf = (progress: Detail["progress"]): readonly [string, string] => {
  const { done, elements, failed, share, skipped, totals, units } = progress
  const { bytes = 0 } = units
  const unit: Unit = bytes > 0 ? "bytes" : "items"
  const now = unit === "bytes" ? bytes : done + failed + skipped
  // Of elements, some may be folders, and ends of these.
  const items = totals["removedFiles"] ?? (elements === now ? totals["items"] : 0)
  const all = (unit === "bytes" ? totals["bytes"] : items) ?? 0
  const about = share === null || share === 0 ? 0 : now / share
  const known = all >= now ? all : 0
  const of = known > 0 ? `of ${amount(unit, known)}` : about > 0 ? `of about ${amount(unit, about)}` : ""
  return [amount(unit, now), share === null ? of : `${percent(share)} ${of}`]
}

/** How many were left, and how many of these were gone. */
const leftOf = ({ skipped, vanished }: Detail["progress"]): string =>
  [[skipped - vanished, "skipped"] as const, [vanished, "vanished"] as const]
    .flatMap(([many, word]) => many > 0 ? [`${count(many)} ${word}`] : []).join(", ")

export const Figures = ({ history, job }: Properties) => {
  const { progress } = job
  const { bytes = 0 } = progress.units
  const [done, all] = doneOf(progress)
  const isMoving = job.state === "Running" && !job.isOwnerDead
  const unit = unitOf(history)
  const points = history === undefined ? [] : pointsOf(history, unit)
  const mean = meanOf(points)
  const highest = points.length === 0 ? undefined : Math.max(...points.map(({ perSecond }) => perSecond))
  const end = job.finishedAt
  const figures = [
    [bytes === 0 ? "Handled" : "Done", done, all === "" ? printable(job.counted) : all],
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
        <dd class="more">{leftOf(progress)}</dd>
      </div>
    </dl>
  )
}
