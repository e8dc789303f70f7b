/**
 * Shows a job as one line of a list, which reads as a sentence: what state it is in, what it does, how far it is, how
 * fast, how long that takes, what failed, and since when.
 */
import type { ComponentChildren } from "preact"
import type { Row } from "./client.ts"
import { isOver } from "./places.ts"
import { to } from "./route.ts"
import { selected, toggle } from "./selection.ts"
import { ShareBar } from "./ShareBar.tsx"
import { counted, duration, percent, printable, rateOf } from "./shown.ts"
import { StateSign } from "./StateSign.tsx"
import { Ago } from "./Time.tsx"
import { fullTrail, trailOf } from "./trails.ts"

/** When the present state of a job began, as far as that is known. */
export const sinceOf = ({ createdAt, finishedAt, progress, state, updatedAt }: Row): number =>
  finishedAt ?? (state === "Running" ? progress.startedAt ?? updatedAt : state === "Queued" ? createdAt : updatedAt)

const Failed = ({ job }: { readonly job: Row }) =>
  job.progress.failed === 0
    ? null
    : (
      <a class="failures" href={to(["jobs", job.id, "failed"])}>
        {job.name === "verify" ? counted(job.progress.failed, "difference") : counted(job.progress.failed, "failure")}
      </a>
    )

const trailBox = { width: 60, height: 16 }

/** How fast the job was in the last minute, as a line without numbers. */
const Trail = ({ rates }: { readonly rates: ReadonlyArray<number> }) => {
  const top = Math.max(1, ...rates)
  const step = trailBox.width / (fullTrail - 1)
  const places = rates.map((rate, index) => {
    const x = trailBox.width - (rates.length - 1 - index) * step
    return `${x.toFixed(1)},${(trailBox.height - 1 - rate / top * (trailBox.height - 2)).toFixed(1)}`
  })
  return (
    <svg class="trail" width={trailBox.width} height={trailBox.height} aria-hidden="true">
      {places.length > 1 && <path d={`M${places.join("L")}`} />}
    </svg>
  )
}

/** How far a job is that is not over, or what it has come to. */
const HowFar = ({ job }: { readonly job: Row }): ComponentChildren => {
  const { leftMillis, share } = job.progress
  if (isOver(job)) {
    return (
      <span class="outcome" title={printable(job.error ?? job.counted)}>{printable(job.error ?? job.counted)}</span>
    )
  }
  if (job.state === "Queued" && job.progress.startedAt === null) return <span class="outcome">not yet begun</span>
  const isMoving = job.state === "Running" && !job.isOwnerDead
  if (!isMoving && share === null) return <span class="outcome">{printable(job.counted)}</span>
  return (
    <>
      <span class="far">
        <ShareBar job={job} />
        <span class="number">{share === null ? "" : percent(share)}</span>
      </span>
      <span class="number rate">
        {isMoving && <Trail rates={trailOf(job.id)} />}
        {isMoving ? rateOf(job.progress) : ""}
      </span>
      <span class="number left">{isMoving && leftMillis !== null ? `${duration(leftMillis)} left` : ""}</span>
    </>
  )
}

interface Properties {
  readonly job: Row
  readonly canSelect: boolean
}

export const JobRow = ({ canSelect, job }: Properties) => {
  const isSelected = selected.value.has(job.id)
  const title = printable(job.title)
  return (
    <li class={`job ${isSelected ? "selected" : ""}`} data-id={job.id}>
      {canSelect && (
        <input
          type="checkbox"
          tabIndex={-1}
          checked={isSelected}
          onChange={() => toggle(job.id)}
          aria-label={`Select ${title}`}
        />
      )}
      <StateSign job={job} />
      <a class="title" href={to(["jobs", job.id])} title={title}>{title}</a>
      <HowFar job={job} />
      <Failed job={job} />
      <code class="id">{job.id}</code>
      <span class="since">
        <Ago at={sinceOf(job)} />
      </span>
    </li>
  )
}
