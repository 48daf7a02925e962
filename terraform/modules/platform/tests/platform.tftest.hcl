mock_provider "helm" {}

run "pinned" {
  command = plan

  assert {
    condition     = helm_release.kserve.version == helm_release.kserve_crd.version
    error_message = "KServe and its resource definitions move together."
  }

  assert {
    condition     = yamldecode(helm_release.kserve.values[0]).kserve.controller.deploymentMode == "Standard"
    error_message = "Our routes need Standard mode."
  }

  assert {
    condition     = yamldecode(helm_release.envoy_gateway.values[0]).config.envoyGateway.extensionApis.enableLua
    error_message = "Assignment is a Lua filter."
  }

  assert {
    condition     = length(helm_release.pipelines) == 0
    error_message = "Without a chart of one's own there is none."
  }
}

run "a_range" {
  command = plan

  variables {
    versions = { kserve = "~> 0.21" }
  }

  expect_failures = [var.versions]
}

run "a_gateway_that_ignores_weights" {
  command = plan

  variables {
    versions = { envoy_gateway = "v1.8.2" }
  }

  expect_failures = [var.versions]
}

run "no_prometheus" {
  command = plan

  variables {
    prometheus = false
  }

  assert {
    condition     = length(helm_release.prometheus) + length(helm_release.keda) == 0 && output.namespaces.monitoring == null
    error_message = "It can be left out, and what asks it goes with it."
  }
}
