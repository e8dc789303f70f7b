/**
 * Sends spans and metrics to a collector of OpenTelemetry, as JSON over HTTP.
 */
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"

/** A collector that does not answer holds up the end of the command for no longer than this. */
const shutdownTimeout = "1 second"

/** Layer that sends to the collector at this address until it is closed. */
export const layer = (endpoint: string, version: string): Layer.Layer<never> => {
  const base = endpoint.replace(/\/+$/, "")
  const resource = { serviceName: "fanout", serviceVersion: version }
  return Layer.mergeAll(
    OtlpTracer.layer({ url: `${base}/v1/traces`, resource, shutdownTimeout }),
    OtlpMetrics.layer({ url: `${base}/v1/metrics`, resource, shutdownTimeout })
  ).pipe(Layer.provide([FetchHttpClient.layer, OtlpSerialization.layerJson]))
}
